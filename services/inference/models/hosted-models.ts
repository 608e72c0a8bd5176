/**
 * The models that are hosted, each under the name it was asked for: which of them a name means, one more, one less. Knows how none of
 * them is loaded.
 */
import type { Reference } from '@slipway/shared/bucket/keys.ts';
import type { OpenModel } from './load-model.ts';
import type { HostedModel } from './model-host.ts';
import { textOf, whichModel } from './which-model.ts';

export interface NewHost {
  /** Null: the first model of the first bucket that has one. */
  readonly model: string | null;
  readonly isMain: boolean;
  /** The service starts with it. */
  readonly isFirst: boolean;
}

export class HostedModels {
  readonly #create: (host: NewHost) => HostedModel;
  /** The one the service started with. */
  readonly first: HostedModel;
  #main: HostedModel | undefined;
  #mainReference: Reference | null = null;
  /** By reference. */
  readonly #others = new Map<string, HostedModel>();
  readonly #leaving = new Set<HostedModel>();
  /** Name -> alias -> version, as last seen. */
  readonly #aliases = new Map<string, ReadonlyMap<string, string>>();

  /** The main model is hosted from the beginning. */
  constructor(main: string | null, create: (host: NewHost) => HostedModel) {
    this.#create = create;
    this.first = create({ model: main, isMain: true, isFirst: true });
    this.#main = this.first;
  }

  /** Undefined when it has been unloaded. */
  get main(): HostedModel | undefined {
    return this.#main;
  }

  /** Null while it is not known which one that will be. */
  get mainReference(): Reference | null {
    return this.#main?.reference ?? this.#mainReference;
  }

  /** The main one first. */
  all(): HostedModel[] {
    return [...(this.#main === undefined ? [] : [this.#main]), ...this.#others.values()];
  }

  /** Those that finish what has begun. */
  leaving(): HostedModel[] {
    return [...this.#leaving];
  }

  /** The names that lead to an open version. */
  leadingTo(model: OpenModel): HostedModel[] {
    return this.all().filter((host) => host.current() === model);
  }

  which(wanted: Reference): HostedModel | undefined {
    const hosted = this.all().flatMap((host) => {
      const { reference, isMain } = host;
      return reference === null ? [] : { host, reference, isMain, version: host.current()?.manifest.version };
    });
    return whichModel(hosted, wanted, this.#aliases.get(wanted.name) ?? new Map())?.host;
  }

  /** One of that name of which no version is open yet. */
  loadingUnder(name: string): HostedModel | undefined {
    return this.all().find((host) => host.reference?.name === name && host.current() === undefined);
  }

  /** The one under just that name; if there is none, or it could not be loaded, it is loaded from now on. */
  host(reference: Reference, onFailure: (host: HostedModel, error: unknown) => void): HostedModel {
    const name = textOf(reference);
    const isMain = this.mainReference !== null && textOf(this.mainReference) === name;
    const there = isMain ? this.#main : this.#others.get(name);
    if (there !== undefined && (there.current() !== undefined || there.state().kind === 'loading')) return there;
    const host = this.#create({ model: name, isMain, isFirst: false });
    if (isMain) this.#main = host;
    else this.#others.set(name, host);
    host.loaded.catch((error: unknown) => onFailure(host, error));
    return host;
  }

  /** No request finds it any more. Resolves when what has begun is answered and the engine has ended. */
  async letGo(host: HostedModel): Promise<void> {
    this.forget(host);
    this.#leaving.add(host);
    await host.letGo();
    this.#leaving.delete(host);
  }

  /** Of one that holds nothing. */
  forget(host: HostedModel): void {
    if (host === this.#main) {
      this.#mainReference = host.reference;
      this.#main = undefined;
    }
    for (const [name, other] of this.#others) if (other === host) this.#others.delete(name);
  }

  sawAliases(name: string, aliases: ReadonlyMap<string, string>): void {
    this.#aliases.set(name, aliases);
  }

  /** Those that were last seen to point at the version. */
  aliasesOf({ name, version }: { readonly name: string; readonly version: string }): string[] {
    const all = this.#aliases.get(name) ?? new Map<string, string>();
    return [...all].filter(([, target]) => target === version).map(([alias]) => alias);
  }
}
