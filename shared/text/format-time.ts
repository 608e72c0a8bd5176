/**
 * Python's strftime for the directives that chat templates use, in English whatever the machine's language is, in local time.
 */
const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** Unknown directives stay as they are. */
export function formatTime(time: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const month = MONTHS[time.getMonth()] ?? '';
  const day = DAYS[time.getDay()] ?? '';
  const directives: Readonly<Record<string, string>> = {
    '%Y': String(time.getFullYear()),
    '%y': two(time.getFullYear() % 100),
    '%m': two(time.getMonth() + 1),
    '%d': two(time.getDate()),
    '%B': month,
    '%b': month.slice(0, 3),
    '%A': day,
    '%a': day.slice(0, 3),
    '%H': two(time.getHours()),
    '%I': two(time.getHours() % 12 || 12),
    '%p': time.getHours() < 12 ? 'AM' : 'PM',
    '%M': two(time.getMinutes()),
    '%S': two(time.getSeconds()),
    '%%': '%',
  };
  return format.replace(/%[a-zA-Z%]/g, (directive) => directives[directive] ?? directive);
}
