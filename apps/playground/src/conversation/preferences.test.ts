import { expect, it } from 'vitest';
import { modeFor, modelOfLane } from './preferences.ts';

const model = (id: string, version?: string, chat?: boolean) => ({
  id,
  slipway: { version, ...(chat === undefined ? {} : { chat }) },
});
const models = [model('smol', 'v002'), model('smol@v002', 'v002'), model('smol@v001', 'v001'), model('story', 'v001')];

it('sets another version beside the first, not the same one under another name', () => {
  expect(modelOfLane(models, [null, null], 0)?.id).toBe('smol');
  expect(modelOfLane(models, [null, null], 1)?.id).toBe('smol@v001');
  expect(modelOfLane(models, ['smol@v001', null], 1)?.id).toBe('smol');
});

it('keeps to what was chosen while the service has it', () => {
  expect(modelOfLane(models, ['story', 'smol'], 0)?.id).toBe('story');
  expect(modelOfLane(models, ['story', 'smol'], 1)?.id).toBe('smol');
  expect(modelOfLane(models, ['gone', 'gone'], 0)?.id).toBe('smol');
});

it('compares a model with itself when there is no other', () => {
  expect(modelOfLane([{ id: 'one' }], [null, null], 1)?.id).toBe('one');
  expect(modelOfLane([], [null, null], 1)).toBeNull();
});

it('continues a text where a model has no chat template, unless told otherwise', () => {
  expect(modeFor(model('story', 'v001', false), 'auto')).toBe('completion');
  expect(modeFor(model('story', 'v001', false), 'chat')).toBe('chat');
  expect(modeFor(model('smol', 'v001', true), 'auto')).toBe('chat');
  expect(modeFor({ id: 'unknown' }, 'auto')).toBe('chat');
});
