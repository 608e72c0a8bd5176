/**
 * 1.5 * 2^52: a number below 2^51 that has it added and taken away again has lost its fraction, rounded to the nearest even.
 * Twice as fast as Math.round.
 */
export const ROUNDER = 6755399441055744;
