/**
 * What holds for which path before any route sees the request; whoever adds a page adds it here.
 */
import { pathPolicy } from '@slipway/shared/http/path-policy.ts';

export const policyOf = pathPolicy(['/docs']);
