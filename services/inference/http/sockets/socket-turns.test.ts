/** Turns over WebSockets without any: what a listener hears, for how long one is kept, and how much. */
import type { ChatSocketEvent, ChatTurnEnd } from '@slipway/shared/contracts/chat-socket.ts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SocketTurns, type TurnListener } from './socket-turns.ts';

const ID = 'turn-0123456789abcdef';
const END: ChatTurnEnd = { type: 'cancelled' };
const delta = (response: string) => ({ id: 'gen-1', session_id: null, model: 'm', response });

class Ear implements TurnListener {
  readonly heard: ChatSocketEvent[] = [];
  hear(_: unknown, event: ChatSocketEvent): void {
    this.heard.push(event);
  }
  get text(): string {
    return this.heard.map((event) => (event.type === 'delta' ? event.response : '')).join('');
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('SocketTurns', () => {
  it.each([0, 1, 2, 3, 4])('tells what came after event %d, once', (after) => {
    const turns = new SocketTurns(30);
    const [first, second] = [new Ear(), new Ear()];
    const turn = turns.begin('app', ID, first);
    for (const text of ['a', 'bc', 'd']) turn.say(delta(text));
    turns.leave(turn, first);
    turns.end(turn, END);
    turns.resume(turns.find('app', ID), second, after);
    expect(second.text).toBe(['abcd', 'bcd', 'd', '', ''][after]);
    const numbers = second.heard.flatMap((event) => ('number' in event ? [event.number] : []));
    expect(numbers).toEqual([[3, 4], [3, 4], [3, 4], [4], []][after]);
    expect(first.text).toBe('abcd');
  });

  it('cancels what nobody hears, when its time is over and not before', () => {
    const turns = new SocketTurns(30);
    const [first, second] = [new Ear(), new Ear()];
    const turn = turns.begin('app', ID, first);
    turns.leave(turn, first);
    vi.advanceTimersByTime(29_000);
    turns.resume(turn, second, 0);
    vi.advanceTimersByTime(60_000);
    // The first has nothing to leave any more.
    turns.leave(turn, first);
    vi.advanceTimersByTime(60_000);
    expect(turn.signal.aborted).toBe(false);
    turns.leave(turn, second);
    vi.advanceTimersByTime(30_000);
    expect(turn.signal.aborted).toBe(true);
  });

  it('forgets what has ended, after its time', () => {
    const turns = new SocketTurns(30);
    const turn = turns.begin('app', ID, new Ear());
    turns.end(turn, END);
    vi.advanceTimersByTime(29_000);
    expect(turns.find('app', ID)).toBe(turn);
    vi.advanceTimersByTime(1000);
    expect(() => turns.find('app', ID)).toThrow(/no turn/);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('forgets the oldest that have ended where they are too much together, and none that goes on', () => {
    const turns = new SocketTurns(30);
    const megabyte = 'x'.repeat(2 ** 20);
    const running = turns.begin('app', `${ID}-running`, new Ear());
    running.say(delta(megabyte));
    for (let index = 0; index < 20; index++) {
      const turn = turns.begin('app', `${ID}-${index}`, new Ear());
      turn.say(delta(megabyte));
      turns.end(turn, END);
    }
    const isThere = (id: string) => {
      try {
        return turns.find('app', id) !== undefined;
      } catch {
        return false;
      }
    };
    expect(isThere(`${ID}-running`)).toBe(true);
    const kept = Array.from({ length: 20 }, (_, index) => isThere(`${ID}-${index}`));
    expect(kept.indexOf(true)).toBe(13);
    expect(kept.slice(13).every(Boolean)).toBe(true);
  });

  it('begins what failed or was cancelled again, and nothing else', () => {
    const turns = new SocketTurns(30);
    const turn = turns.begin('app', ID, new Ear());
    expect(() => turns.begin('app', ID, new Ear())).toThrow(/resume it/);
    expect(turns.begin('other', ID, new Ear())).not.toBe(turn);
    turns.end(turn, END);
    const again = turns.begin('app', ID, new Ear());
    vi.advanceTimersByTime(60_000);
    expect(turns.find('app', ID)).toBe(again);
  });
});
