/**
 * Loaded before a program (`node --import`): a time of day that somebody sets again and again, an hour forth and an hour back. Clocks that
 * count from the start of the machine go on as ever, as they do when a real clock is set.
 */
const HOUR = 3_600_000;
const EVERY_MILLISECONDS = 40;

const RealDate = globalThis.Date;
let offset = 0;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [RealDate.now() + offset] : given));
  }

  static now() {
    return RealDate.now() + offset;
  }
};

setInterval(() => {
  offset = offset === HOUR ? -HOUR : HOUR;
}, EVERY_MILLISECONDS).unref();
