/**
 * A service for each test, and WebSockets to it that end with the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { ClientOptions } from 'ws';
import { STRICT_TEMPLATE } from './chat-client.ts';
import { eventually } from './raw-client.ts';
import { SocketClient } from './socket-client.ts';
import { startTestService, type TestService, type TestServiceOptions } from './test-service.ts';

export class SocketService {
  readonly log: Record<string, unknown>[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'slipway-sockets-'));
  readonly #clients: SocketClient[] = [];
  #service: TestService | undefined;

  get service(): TestService {
    if (this.#service === undefined) throw new Error('start it first');
    return this.#service;
  }

  async start(options: TestServiceOptions = {}): Promise<void> {
    this.#service = await startTestService({
      chatTemplate: STRICT_TEMPLATE,
      onLog: (line) => this.log.push(JSON.parse(line)),
      ...options,
    });
  }

  async open(options: ClientOptions = {}, protocols: string[] = []): Promise<SocketClient> {
    const client = await SocketClient.open(this.service.url, options, protocols);
    this.#clients.push(client);
    return client;
  }

  /** When so many sequences are being decoded. */
  running(count: number): Promise<void> {
    return eventually(
      () => this.service.engine.stats().running,
      (seen) => seen === count,
    );
  }

  async end(): Promise<void> {
    for (const client of this.#clients) client.socket.terminate();
    await this.#service?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Gives the one of the test that runs. */
export function socketServices(): () => SocketService {
  let current: SocketService;
  beforeEach(() => {
    current = new SocketService();
  });
  afterEach(() => current.end());
  return () => current;
}
