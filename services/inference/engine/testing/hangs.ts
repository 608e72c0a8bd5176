/** A child that never comes back from its fifth decode step. */
import { openLayout } from '../../runtime/open-layout.ts';
import { serveEngine } from '../serve-engine.ts';

serveEngine(async (spec) => {
  const layout = await openLayout(spec);
  let steps = 0;
  return {
    ...layout,
    decode(tokens, lengths) {
      if (++steps === 5) for (;;);
      return layout.decode(tokens, lengths);
    },
  };
});
