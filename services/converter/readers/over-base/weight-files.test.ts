import { describe, expect, it } from 'vitest';
import { weightFiles } from './weight-files.ts';

describe('which files hold the weights', () => {
  it('takes weights and leaves what training keeps beside them', () => {
    const names = [
      'optimizer.pt',
      'policy.pt',
      'rng_state_0.pth',
      'scheduler.pt',
      'trainer_state.json',
      'training_args.bin',
    ];
    expect(weightFiles(names, 'run')).toEqual(['policy.pt']);
  });

  it('takes safetensors where the same weights are there twice', () => {
    const names = ['pytorch_model.bin', 'model-00002-of-00002.safetensors', 'model-00001-of-00002.safetensors'];
    expect(weightFiles(names, 'run')).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']);
  });

  it('takes the one file of DeepSpeed that has all, whatever lies beside it', () => {
    const names = ['bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt', 'mp_rank_00_model_states.pt'];
    expect(weightFiles(names, 'run')).toEqual(['mp_rank_00_model_states.pt']);
  });

  it.each([
    [
      ['model-00001-of-00003.safetensors'],
      /of 3 shards these are missing: model-00002-of-00003\.safetensors, model-00003/,
    ],
    [['pytorch_model-00002-of-00002.bin'], /of 2 .* missing: pytorch_model-00001-of-00002\.bin$/],
    [
      ['model_world_size_4_rank_0.pt', 'model_world_size_4_rank_3.pt'],
      /of 4 .*_rank_1\.pt, model_world_size_4_rank_2\.pt$/,
    ],
    [['shard_rank_0.pt', 'shard_rank_2.pt'], /of 3 .* missing: shard_rank_1\.pt$/],
    [['zero_pp_rank_1_mp_rank_00_model_states.pt'], /missing: zero_pp_rank_0_mp_rank_00_model_states\.pt$/],
    [['mp_rank_01_model_states.pt'], /missing: mp_rank_00_model_states\.pt$/],
  ])('names the shards that %j lack', (names, message) => {
    expect(() => weightFiles(names, 'run')).toThrow(message);
  });

  it.each([
    [['__0_0.distcp', '.metadata'], /dcp_to_torch/],
    [
      ['zero_pp_rank_0_mp_rank_00_model_states.pt', 'bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt'],
      /ZeRO-3.*zero_to_fp32\.py/,
    ],
    [['mp_rank_00_model_states.pt', 'mp_rank_01_model_states.pt'], /tensor parallelism/],
    [['README.md'], /no weights .* there are README\.md/],
    [[], /no weights .* are in it$/],
    [['model-00001-of-99999.bin'], /claims 99999 files; the limit/],
    [['a_rank_99999.pt'], /claims 100000 files; the limit/],
  ])('says of %j what to do', (names, message) => {
    expect(() => weightFiles(names, 'run')).toThrow(message);
  });
});
