/** A child that dies while it opens the model, with a last word on stderr. */
process.stderr.write('the weights are on fire\n');
process.exit(3);
