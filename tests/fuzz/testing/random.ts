/**
 * Random choices that come again with the same seed, and the values that programs stumble over.
 */

export interface Random {
  /** 0 <= result < below. */
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Buffer;
}

/** Mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number) => Math.floor(next() * count);
  return {
    below,
    // In bounds by `below`; no list here is empty.
    pick: (from) => from[below(from.length)] as (typeof from)[number],
    bytes: (length) => Buffer.from(Uint8Array.from({ length }, () => below(256))),
  };
}

export const HOSTILE_NAMES = [
  '../../../../etc/passwd',
  '..',
  '.',
  '/etc/passwd',
  '//',
  '\\\\host\\share',
  'C:\\Windows\\win.ini',
  'file:///etc/passwd',
  'http://127.0.0.1:1/',
  's3://bucket/key',
  'a\u0000b',
  '\u0000',
  'shakespeare-gpt2@../../v001',
  'shakespeare-gpt2/../../../etc/passwd',
  'shakespeare-gpt2@v001/../../blobs',
  '%2e%2e%2fetc%2fpasswd',
  '..%2f..%2fetc%2fpasswd',
  '..%252f..%252fetc',
  '..%c0%af..%c0%afetc',
  'constructor',
  '__proto__',
  'toString',
  'con',
  '~root',
  '$HOME',
  '`id`',
  '$(id)',
  '; rm -rf /tmp/nothing',
  '"\'\\',
  'name\r\nX-Injected: yes',
  '\u202e\ufeff\ud800',
  'é'.repeat(200),
  'x'.repeat(100_000),
];

/** Of every kind JSON has, and at the edges of each. */
export function hostileValue(random: Random, depth = 0): unknown {
  const kinds: (() => unknown)[] = [
    () => null,
    () => random.pick([true, false]),
    () => random.pick([0, -0, 1, -1, 0.5, 2, 3, 1e308, -1e308, 5e-324, 2 ** 31, 2 ** 53, -(2 ** 53), 1e21]),
    () => random.pick(['', ' ', 'a', 'null', '0', 'Once upon a time', '\u0000', '\ud83d', '{{ x }}', '<|im_end|>']),
    () => random.pick(HOSTILE_NAMES),
    () => Array.from({ length: random.below(4) }, () => (depth > 3 ? 0 : hostileValue(random, depth + 1))),
    () => Array.from({ length: random.below(30) }, () => random.below(600)),
    () => {
      const entries = Array.from({ length: random.below(4) }, () => [
        random.pick(FIELD_NAMES),
        depth > 3 ? 0 : hostileValue(random, depth + 1),
      ]);
      return Object.fromEntries(entries);
    },
  ];
  return random.pick(kinds)();
}

/** What requests of this service and of its kind are made of. */
export const FIELD_NAMES = [
  ...['prompt', 'messages', 'model', 'stream', 'max_new_tokens', 'max_tokens', 'max_completion_tokens', 'temperature'],
  ...['top_k', 'top_p', 'min_p', 'n', 'best_of', 'seed', 'stop', 'echo', 'logprobs', 'top_logprobs', 'prompt_logprobs'],
  ...[
    'logit_bias',
    'bad_words',
    'response_format',
    'tools',
    'tool_choice',
    'stream_options',
    'user',
    'suffix',
    'metadata',
  ],
  ...[
    'repetition_penalty',
    'presence_penalty',
    'frequency_penalty',
    'think_penalty',
    'min_new_tokens',
    'stop_token_ids',
  ],
  ...['num_return_sequences', 'stop_on_eos', 'ignore_eos', 'session_id', 'tokens', 'text', 'input', 'name', 'version'],
  ...[
    'role',
    'content',
    'type',
    'json_schema',
    'schema',
    'function',
    'parameters',
    'arguments',
    'id',
    'file',
    'purpose',
  ],
  ...['input_file_id', 'endpoint', 'completion_window', 'unit', 'continue_final_message', 'chat_template_kwargs'],
  ...['add_generation_prompt', 'add_special_tokens', '__proto__', 'constructor', 'hasOwnProperty', '', 'then', '$ref'],
];
