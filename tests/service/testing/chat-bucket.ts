/**
 * A bucket of models that chat: the bundled one, with templates that a test chooses.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLED_BUCKET } from '@slipway/inference/serve';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { onTestFinished } from 'vitest';

const TEMPLATE_FILE = 'chat_template.jinja';

/** Gives its folder, which is removed when the test ends. */
export async function chatBucket(templates: Readonly<Record<string, string>>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-chat-bucket-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const bundled = openFolderBucket(BUNDLED_BUCKET);
  const [bundledName = ''] = await bundled.models();
  const manifest = await bundled.resolve(bundledName);
  const { version: _version, created_at: _createdAt, files: _files, text, ...draft } = manifest;
  const bucket = openFolderBucket(folder);
  for (const [name, template] of Object.entries(templates)) {
    const staging = await bucket.stage(name);
    cpSync(await bundled.materialize(manifest), staging.folder, { recursive: true, dereference: true });
    await writeFile(join(staging.folder, TEMPLATE_FILE), template);
    await staging.publish({ ...draft, name, text: { ...text, chat_template: TEMPLATE_FILE } });
  }
  return folder;
}
