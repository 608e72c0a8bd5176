/**
 * `GET /model-info`: what is served, how it was made, how exact it is, and what runs it. From the manifest and the engine.
 */
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import { promptLimit } from '../../generation/admission.ts';
import type { Following } from '../../models/model-state.ts';
import { readyModel } from '../../models/served-models.ts';
import type { Route, ServiceParts } from '../service-parts.ts';

export function modelInfoRoute(parts: ServiceParts): Route {
  return (context) => {
    const { name, manifest, engine, fingerprint, aliases } = readyModel(parts.models.main);
    const { maxPromptTokens } = parts.config;
    const { contextLength } = engine.info;
    return context.json({
      name,
      ...(manifest === null ? {} : provenance(manifest)),
      aliases: aliases(),
      following: followed(parts.models.main.following()),
      engine: engine.info,
      limits: {
        max_new_tokens: parts.config.maxNewTokens,
        default_max_new_tokens: parts.config.defaultMaxNewTokens,
        max_prompt_tokens: promptLimit(parts.config.defaultMaxNewTokens, { maxPromptTokens, contextLength }),
        timeout_seconds: parts.config.timeoutSeconds,
        concurrent_requests: parts.config.occupancySemaphore,
        queued_requests: parts.config.queueLimit,
      },
      system_fingerprint: fingerprint,
    });
  };
}

function followed(following: Following | null) {
  if (following === null) return null;
  const { reference, everySeconds, wanted, detail } = following;
  return { reference, every_seconds: everySeconds, wanted, detail };
}

function provenance(manifest: Manifest) {
  const { text, graphs, weights, files } = manifest;
  const sha256Of = (path: string | null) => files.find((file) => file.path === path)?.sha256 ?? null;
  return {
    version: manifest.version,
    created_at: manifest.created_at,
    architecture: manifest.architecture,
    precision: manifest.precision,
    quantization: manifest.quantization,
    bits_per_weight: manifest.bits_per_weight,
    sha256: {
      weights: sha256Of(weights),
      serving_graph: sha256Of(graphs.serving.path),
      standard_graph: sha256Of(graphs.standard.path),
      tokenizer: sha256Of(text.tokenizer),
      chat_template: sha256Of(text.chat_template),
    },
    source: manifest.source,
    parity: manifest.parity,
    drift_allowed: manifest.drift_allowed,
    /** Null: a converted checkpoint says nothing of how it was trained. */
    training: manifest.lineage ?? null,
  };
}
