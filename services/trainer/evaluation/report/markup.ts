/**
 * Markup in which every value is text unless it is markup itself: answers of a model are data, whatever they look like.
 */
import { html } from 'hono/html';

export { html };
export type Markup = ReturnType<typeof html>;
