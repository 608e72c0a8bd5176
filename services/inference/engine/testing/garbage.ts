/** A child whose first message is none of the protocol's. */
process.on('message', () => process.send?.({ type: 'hullo' }));
process.on('disconnect', () => process.exit(0));
