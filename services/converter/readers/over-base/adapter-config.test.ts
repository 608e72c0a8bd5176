import { describe, expect, it } from 'vitest';
import { parseAdapterConfig } from './adapter-config.ts';

const parse = (fields: object) =>
  parseAdapterConfig({ peft_type: 'LORA', r: 4, lora_alpha: 8, ...fields }, 'adapter_config.json');
const PATH = 'model.layers.11.self_attn.q_proj';

describe('adapter_config.json', () => {
  it('gives rank and scale, by alpha / r or alpha / sqrt(r)', () => {
    expect(parse({}).rankAndScale(PATH)).toEqual({ rank: 4, scale: 2 });
    expect(parse({ use_rslora: true }).rankAndScale(PATH)).toEqual({ rank: 4, scale: 4 });
  });

  it.each([
    [{ q_proj: 2 }, 2],
    [{ 'self_attn.q_proj': 2 }, 2],
    [{ 'layers\\.1\\.self_attn\\.q_proj': 2 }, 4],
    [{ '^model.layers.11.self_attn.q_proj': 2 }, 2],
    [{ '^layers.11.self_attn.q_proj': 2 }, 4],
    [{ 'layers\\.\\d+\\..*\\.(q|k)_proj': 2 }, 2],
    [{ proj: 2 }, 4],
    [{ k_proj: 3, q_proj: 2 }, 2],
    [{ 'self_attn.q_proj': 3, q_proj: 2 }, 3],
  ])('ranks by the pattern %j as peft does: the path or its end, the first that fits', (pattern, rank) => {
    expect(parse({ rank_pattern: pattern }).rankAndScale(PATH)).toEqual({ rank, scale: 8 / rank });
    expect(parse({ alpha_pattern: pattern }).rankAndScale(PATH).scale).toBe(rank === 4 ? 2 : rank / 4);
  });

  it.each([['(a+)+b'], ['(a|a)*b'], ['.*.*.*x'], ['a{1,99}{1,99}'], ['x'.repeat(600)], ['(']])(
    'refuses the pattern %s, whose work has no bound or that is none',
    (pattern) => {
      expect(() => parse({ rank_pattern: { [pattern]: 2 } })).toThrow(/^adapter_config\.json: rank_pattern: /);
    },
  );

  it('bounds the work of the patterns it takes', () => {
    const { rankAndScale } = parse({ rank_pattern: { '.*a.*b': 2, '\\w+\\.\\w+x': 3 } });
    const begun = performance.now();
    for (let module = 0; module < 200; module++) rankAndScale(`${'a.'.repeat(40)}${module}`);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it.each([
    [{ peft_type: 'IA3' }, /peft_type is "IA3"; only LORA/],
    [{ peft_type: null }, /peft_type is null/],
    [{ use_qalora: true }, /use_qalora is set \(true\)/],
    [{ layer_replication: [[0, 4]] }, /layer_replication is set \(\[\[0,4\]\]\)/],
    [{ alora_invocation_tokens: [1, 2] }, /alora_invocation_tokens/],
    [{ trainable_token_indices: [5] }, /trainable_token_indices/],
    [{ target_parameters: ['experts.gate_up_proj'] }, /target_parameters/],
    [{ megatron_config: { a: 1 } }, /megatron_config/],
    [{ something_new: 0.5 }, /something_new is set \(0\.5\).*merge_and_unload/],
    [{ init_lora_weights: 'pissa_niter_4' }, /init_lora_weights is "pissa_niter_4".*path_initial_model/],
    [{ init_lora_weights: 'loftq' }, /init_lora_weights/],
    [{ r: 0 }, /adapter_config\.json: .*\br\b/],
    [{ lora_alpha: 'x' }, /lora_alpha/],
    [{ rank_pattern: { q_proj: -1 } }, /rank_pattern/],
  ])('refuses %j by name', (fields, message) => {
    expect(() => parse(fields)).toThrow(message);
  });

  it('refuses what is no object', () => {
    for (const json of [null, [], 'LORA', 3])
      expect(() => parseAdapterConfig(json, 'x/adapter_config.json')).toThrow(/^x\/adapter/);
  });

  it('does not mind fields that change no weight, or are not set', () => {
    const fields = {
      lora_dropout: 0.1,
      use_qalora: false,
      kasa_config: null,
      loftq_config: {},
      target_modules: ['q_proj'],
    };
    expect(parse({ ...fields, init_lora_weights: 'eva', eva_config: { rho: 2 } }).useDora).toBe(false);
  });
});
