/**
 * Which files of a hub's repository a conversion needs: the text side, the configuration and one set of weights. Pure: names in, names
 * out. Knows nothing of how they are fetched.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

export interface HubFile {
  /** Relative, forward slashes. */
  readonly path: string;
  readonly bytes: number;
  /** What its bytes must hash to: sha256 for large files, git's blob sha1 for small ones. */
  readonly digest: { readonly kind: 'sha256' | 'git-sha1'; readonly hex: string };
}

const SMALL_FILES = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'added_tokens.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
  'adapter_config.json',
]);

/** Sets of weights, the best first: one file, or an index and its shards. Repositories often hold the same weights several times. */
const WEIGHTS: readonly { readonly lead: string; readonly shards?: RegExp }[] = [
  { lead: 'model.safetensors' },
  { lead: 'model.safetensors.index.json', shards: /^model-\d+-of-\d+\.safetensors$/ },
  { lead: 'adapter_model.safetensors' },
  { lead: 'pytorch_model.bin' },
  { lead: 'pytorch_model.bin.index.json', shards: /^pytorch_model-\d+-of-\d+\.bin$/ },
  { lead: 'adapter_model.bin' },
];

export interface Selection {
  readonly files: readonly HubFile[];
  /** What `convert` is to be given, relative to the download folder: empty for the folder itself. */
  readonly source: string;
}

/** `only`: one file instead of a folder, such as one of several .gguf. AppError unsupported_source or not_found says what there is. */
export function selectFiles(repository: string, listed: readonly HubFile[], only?: string): Selection {
  const byPath = new Map(listed.map((file) => [file.path, file]));
  const ggufs = listed.filter(({ path }) => /\.gguf$/i.test(path));
  if (only !== undefined) {
    const file = byPath.get(only);
    if (file) return { files: [file], source: file.path };
    throw new AppError('not_found', `${repository} has no file ${JSON.stringify(only)}${offer(ggufs)}`);
  }
  const set = WEIGHTS.find(({ lead }) => byPath.has(lead));
  if (set) {
    const files = listed.filter(
      ({ path }) => SMALL_FILES.has(path) || path === set.lead || set.shards?.test(path) === true,
    );
    return { files, source: '' };
  }
  const [first, ...others] = ggufs;
  if (first && others.length === 0) return { files: [first], source: first.path };
  throw new AppError(
    'unsupported_source',
    first
      ? `${repository} holds several models${offer(ggufs)}`
      : `${repository} has no weights that can be converted: neither safetensors, pytorch_model.bin nor .gguf; it has ${shortList(listed)}`,
  );
}

function offer(ggufs: readonly HubFile[]): string {
  return ggufs.length === 0 ? '' : `; choose one with --file: ${shortList(ggufs)}`;
}

function shortList(files: readonly HubFile[]): string {
  const names = files.slice(0, 12).map(({ path }) => path);
  return `${names.join(', ') || 'no file'}${files.length > names.length ? ' ...' : ''}`;
}
