import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { EventLog, EventReader } from './event-log.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-events-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'events.jsonl');
}

it('numbers events on, whoever wrote the last one, and cuts what a killed writer left', () => {
  const path = scratch();
  const first = new EventLog(path);
  for (const word of ['one', 'twö', 'x'.repeat(200_000)]) first.add({ type: word });
  first.close();
  const whole = readFileSync(path);
  const lost = '\0'.repeat(70_000);
  for (const torn of [
    '',
    '{"id":4,"at":"2026',
    '{"id":4}',
    lost,
    `${lost}\n`,
    '{"id":4,"at":"20\n\0\n',
    '7\n{}\n{"id":',
  ]) {
    writeFileSync(path, whole);
    appendFileSync(path, torn);
    const next = new EventLog(path);
    next.add({ type: 'four' });
    next.close();
    const events = new EventReader(path).read();
    expect(events).toMatchObject([{ id: 1 }, { id: 2, type: 'twö' }, { id: 3 }, { id: 4, type: 'four' }]);
  }
});

it('begins anew where only a torn line is', () => {
  const path = scratch();
  writeFileSync(path, '{"id":1,"type":"to');
  const log = new EventLog(path);
  log.add({ type: 'first' });
  log.close();
  expect(new EventReader(path).read()).toMatchObject([{ id: 1, type: 'first' }]);
});

it('is read on where reading stopped, without half lines', () => {
  const path = scratch();
  writeFileSync(path, '{"id":1}\n{"id":2}\n{"i');
  const reader = new EventReader(path);
  expect(reader.read()).toEqual([{ id: 1 }, { id: 2 }]);
  expect(reader.read()).toEqual([]);
  appendFileSync(path, 'd":3}\n\0\0\n{"id":4}\n');
  expect(reader.read()).toEqual([{ id: 3 }, { id: 4 }]);
});
