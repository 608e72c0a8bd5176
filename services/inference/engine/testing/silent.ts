/** A child that takes the model and never says another word. */
process.on('message', () => {});
process.on('disconnect', () => process.exit(0));
