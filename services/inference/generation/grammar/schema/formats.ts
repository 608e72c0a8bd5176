/**
 * The formats of strings that can be followed, each as a regular expression. Some allow less than the format does (an address of the web
 * has a host, a year does not begin with 0): what is written is of the format, which is what counts.
 */
const DATE =
  '[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
const CLOCK = '(?:[01]\\d|2[0-3]):[0-5]\\d';
const TIME = `${CLOCK}:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-]${CLOCK})`;
const COUNT = '(?:0|[1-9]\\d{0,3})';
const SPAN_OF_TIME = `(?:${COUNT}H(?:${COUNT}M(?:${COUNT}S)?)?|${COUNT}M(?:${COUNT}S)?|${COUNT}S)`;
const SPAN_OF_DAYS = `(?:${COUNT}Y(?:${COUNT}M(?:${COUNT}D)?)?|${COUNT}M(?:${COUNT}D)?|${COUNT}D)`;
const LABEL = '[a-z0-9]{1,16}(?:-[a-z0-9]{1,16})?';
const HOST = `${LABEL}(?:\\.${LABEL}){0,3}`;
const NAME = '[A-Za-z0-9_+-]{1,12}';
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const PATH_LETTERS = '[A-Za-z0-9._~-]';

const PATTERNS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: `P(?:${COUNT}W|${SPAN_OF_DAYS}(?:T${SPAN_OF_TIME})?|T${SPAN_OF_TIME})`,
  email: `${NAME}(?:\\.${NAME}){0,2}@(?:${LABEL}\\.){1,2}[a-z]{2,10}`,
  hostname: HOST,
  ipv4: `${BYTE}(?:\\.${BYTE}){3}`,
  ipv6: '[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}',
  uri: `https?://${HOST}(?::[1-9]\\d{0,3})?(?:/${PATH_LETTERS}*)*(?:\\?[A-Za-z0-9._~=&-]*)?(?:#${PATH_LETTERS}*)?`,
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}',
};

export const FORMATS: readonly string[] = Object.keys(PATTERNS);

/** Undefined when it cannot be followed. */
export function patternOfFormat(format: string): string | undefined {
  return Object.hasOwn(PATTERNS, format) ? `^${PATTERNS[format]}$` : undefined;
}
