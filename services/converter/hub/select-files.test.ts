import { describe, expect, it } from 'vitest';
import { type HubFile, selectFiles } from './select-files.ts';

const files = (...paths: string[]): HubFile[] =>
  paths.map((path) => ({ path, bytes: 1, digest: { kind: 'sha256', hex: 'a'.repeat(64) } }));
const chosen = (...paths: string[]) => selectFiles('org/name', files(...paths)).files.map(({ path }) => path);

describe('the files a conversion needs', () => {
  it('are configuration, text side and one set of weights, of a repository that holds the same weights many times', () => {
    expect(
      chosen(
        '.gitattributes',
        'README.md',
        'config.json',
        'consolidated.safetensors',
        'generation_config.json',
        'model.fp16.safetensors',
        'model.safetensors',
        'onnx/model.onnx',
        'original/config.json',
        'pytorch_model.bin',
        'tf_model.h5',
        'tokenizer.json',
        'tokenizer_config.json',
        'chat_template.jinja',
      ),
    ).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
      'chat_template.jinja',
    ]);
  });

  it('are all shards and their index', () => {
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const all = ['config.json', 'model.safetensors.index.json', ...shards];
    expect(chosen(...all, 'model-extra.safetensors', 'pytorch_model.bin')).toEqual(all);
  });

  it('are pickles only when there are no safetensors', () => {
    expect(chosen('config.json', 'pytorch_model.bin', 'rust_model.ot')).toEqual(['config.json', 'pytorch_model.bin']);
  });

  it('are an adapter, where there is only that', () => {
    expect(chosen('adapter_config.json', 'adapter_model.safetensors')).toHaveLength(2);
  });

  it('are a lone GGUF file, or the one that was asked for', () => {
    expect(selectFiles('org/name', files('README.md', 'model.gguf'))).toMatchObject({ source: 'model.gguf' });
    const several = files('a-q4_0.gguf', 'a-q8_0.gguf');
    expect(() => selectFiles('org/name', several)).toThrow(
      'org/name holds several models; choose one with --file: a-q4_0.gguf, a-q8_0.gguf',
    );
    expect(selectFiles('org/name', several, 'a-q8_0.gguf').files).toEqual([several[1]]);
    expect(() => selectFiles('org/name', several, 'b.gguf')).toThrow(/has no file "b.gguf"; choose one with --file/);
  });

  it('are none where nothing can be converted, and that is said', () => {
    expect(() => selectFiles('org/name', files('tf_model.h5'))).toThrow(
      /no weights that can be converted.*tf_model.h5/,
    );
  });
});
