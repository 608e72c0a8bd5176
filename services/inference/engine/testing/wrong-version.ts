/** A child of another build: its hello carries a protocol that this one does not speak. */
process.on('message', () => process.send?.({ type: 'hello', protocol: 999 }));
process.on('disconnect', () => process.exit(0));
