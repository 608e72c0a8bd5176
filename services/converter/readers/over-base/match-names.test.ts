import { describe, expect, it } from 'vitest';
import { matchNames, ownSegment } from './match-names.ts';

const LLAMA = new Set([
  'model.embed_tokens.weight',
  'model.layers.0.mlp.up_proj.weight',
  'model.norm.weight',
  'lm_head.weight',
]);
const GPT2 = new Set(['transformer.wte.weight', 'transformer.h.0.attn.c_attn.weight', 'lm_head.weight']);

const matched = (found: Iterable<string>, wanted: ReadonlySet<string>) =>
  Object.fromEntries(matchNames(found, wanted).matched);
const under = (prefix: string, names: Iterable<string>) => Array.from(names, (name) => prefix + name);

describe('names of a checkpoint and of its base', () => {
  it('match as they are, whatever prefix is their own', () => {
    expect(matchNames(LLAMA, LLAMA)).toMatchObject({ unexpected: [], ambiguous: [], renamed: [] });
    expect(matched(GPT2, GPT2)).toEqual(Object.fromEntries([...GPT2].map((name) => [name, name])));
  });

  it('cut nothing where nothing needs to be cut', () => {
    const both = new Set([...LLAMA, 'norm.weight']);
    expect(matched(['model.norm.weight'], both)).toEqual({ 'model.norm.weight': 'model.norm.weight' });
  });

  it('match under prefixes in any order and number', () => {
    const segments = ['module', 'actor', 'model', '_orig_mod', '_forward_module', 'base_model', 'policy'];
    for (const first of segments) {
      for (const second of segments) {
        const found = under(`${first}.${second}.${first}.`, LLAMA);
        expect(matchNames(found, LLAMA)).toMatchObject({ matched: { size: LLAMA.size }, unexpected: [] });
      }
    }
  });

  it('match a body without its class, and a class around a bare body', () => {
    const body = [...LLAMA].map((name) => name.replace('model.', ''));
    expect(matched(body, LLAMA)).toEqual(
      Object.fromEntries([...LLAMA].map((name) => [name, name.replace('model.', '')])),
    );
    const bare = new Set(['wte.weight', 'h.0.attn.c_attn.weight']);
    expect(matched(GPT2, bare)).toEqual({
      'wte.weight': 'transformer.wte.weight',
      'h.0.attn.c_attn.weight': 'transformer.h.0.attn.c_attn.weight',
    });
  });

  it('lose what wrappers put inside them', () => {
    const found = ['model.layers.0._fsdp_wrapped_module._checkpoint_wrapped_module.mlp._orig_mod.up_proj.weight'];
    expect(matched(found, LLAMA)).toEqual({ 'model.layers.0.mlp.up_proj.weight': found[0] });
  });

  it('tell what fits nothing, and never guess between two', () => {
    expect(matchNames(['actor.model.norm.weight', 'critic.model.norm.weight'], LLAMA)).toMatchObject({
      unexpected: ['critic.model.norm.weight'],
      ambiguous: [],
    });
    expect(matchNames(['actor.model.norm.weight', 'module.model.norm.weight'], LLAMA).ambiguous).toEqual([
      { name: 'model.norm.weight', found: ['actor.model.norm.weight', 'module.model.norm.weight'] },
    ]);
  });

  it('do not depend on their order', () => {
    const found = [...under('actor.module.', LLAMA), 'actor.v_head.weight'];
    const forth = matchNames(found, LLAMA);
    const back = matchNames(found.toReversed(), LLAMA);
    expect(new Map([...back.matched].toSorted())).toEqual(new Map([...forth.matched].toSorted()));
    expect(back.unexpected).toEqual(forth.unexpected);
  });

  it('survive anything a file may call a tensor', () => {
    for (const name of ['', '.', 'model', 'model.', 'module.model', '__proto__', 'constructor.weight', '..']) {
      expect(matchNames([name], LLAMA)).toMatchObject({ matched: { size: 0 }, unexpected: [name] });
    }
  });

  it('know what a tensor is of, behind its prefixes', () => {
    expect(ownSegment('actor.module.v_head.summary.weight')).toBe('v_head');
    expect(ownSegment('model.layers.0.critic.weight')).toBe('layers');
  });
});
