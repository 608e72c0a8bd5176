/** A child that aborts, as a native library would, in its fifth decode step. */
import { openLayout } from '../../runtime/open-layout.ts';
import { serveEngine } from '../serve-engine.ts';

serveEngine(async (spec) => {
  const layout = await openLayout(spec);
  let steps = 0;
  return {
    ...layout,
    decode(tokens, lengths) {
      if (++steps === 5) process.abort();
      return layout.decode(tokens, lengths);
    },
  };
});
