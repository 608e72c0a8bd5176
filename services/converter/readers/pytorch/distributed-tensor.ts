/**
 * A DTensor as FSDP 2 and device meshes leave it in a rank's file (torch/distributed/tensor, since torch 2.5): the rank's own piece, and
 * where it belongs. Its classes are read as records of their fields, which do nothing.
 */
import { PickleDict, PickleRecord, PickleTuple, type PickleValue, type Piece, TorchTensor } from './pickle-values.ts';

const DISTRIBUTED = 'torch.distributed.tensor';

/** Classes that describe a DTensor: NEWOBJ and BUILD make records of these and of no others. */
export const RECORDS: ReadonlySet<string> = new Set([
  `${DISTRIBUTED}._dtensor_spec.DTensorSpec`,
  `${DISTRIBUTED}._dtensor_spec.TensorMeta`,
  `${DISTRIBUTED}._dtensor_spec.ShardOrderEntry`,
  `${DISTRIBUTED}.placement_types.Shard`,
  `${DISTRIBUTED}.placement_types.Replicate`,
  'torch.distributed.device_mesh.DeviceMesh',
  'torch.distributed._mesh_layout._MeshLayout',
  'torch.distributed._mesh_layout._FlatLayout',
]);
export const DTENSOR = `${DISTRIBUTED}.DTensor`;

/** The piece that `state` describes; in words what is wrong with it, or not supported. `shape`: of the whole. */
export function distributedTensor(state: PickleValue | undefined, shape: readonly number[]): TorchTensor | string {
  const fields = state instanceof PickleTuple ? state.items.find((item) => item instanceof PickleDict) : state;
  const local = fieldOf(fields, '_local_tensor');
  const spec = fieldOf(fields, '_spec');
  const placements = fieldOf(spec, 'placements');
  if (!(local instanceof TorchTensor) || !(placements instanceof PickleTuple)) {
    return 'a distributed tensor has no piece or no placements';
  }
  const sharded = placements.items.flatMap((placement, meshAxis) =>
    placement instanceof PickleRecord && placement.name.endsWith('.Shard') ? [{ placement, meshAxis }] : [],
  );
  const [only] = sharded;
  if (!only) return local;
  if (sharded.length > 1) return 'a distributed tensor is cut along two axes of its mesh; gather it before saving';
  const axis = fieldOf(only.placement, 'dim');
  const coordinates = fieldOf(fieldOf(spec, 'mesh'), '_coordinate_on_dim');
  const index = coordinates instanceof PickleTuple ? coordinates.items[only.meshAxis] : undefined;
  if (typeof axis !== 'number' || typeof index !== 'number')
    return 'a distributed tensor does not say which piece it is';
  const rest = (lengths: readonly number[]) => lengths.toSpliced(axis, 1).join();
  if (shape[axis] === undefined || shape.length !== local.spec.shape.length || rest(shape) !== rest(local.spec.shape)) {
    return `a piece of shape [${local.spec.shape}] is no part of a distributed tensor of shape [${shape}] cut along ${axis}`;
  }
  const piece: Piece = { axis, index, shape };
  return new TorchTensor({ ...local.spec, piece });
}

function fieldOf(value: PickleValue | undefined, name: string): PickleValue | undefined {
  const dicts = value instanceof PickleRecord ? value.states : [value];
  for (const dict of dicts) {
    if (!(dict instanceof PickleDict)) continue;
    const found = dict.entries.findLast(([key]) => key === name);
    if (found) return found[1];
  }
  return undefined;
}
