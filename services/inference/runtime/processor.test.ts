import { expect, it } from 'vitest';
import { readProcessor, wantsUnsignedWeights } from './processor.ts';

const info = (flags: string) =>
  `processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu sse2 ${flags} avx2\n\nprocessor\t: 1\n`;

it('wants unsigned weights on an x64 processor without VNNI', () => {
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: info('fma') })).toBe(true);
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: info('avx512bw avx512vl') })).toBe(true);
});

it('takes the weights as they are where products are exact, or nothing is known', () => {
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: info('avx512_vnni') })).toBe(false);
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: info('avx_vnni') })).toBe(false);
  expect(wantsUnsignedWeights({ architecture: 'arm64', cpuInfo: info('asimddp') })).toBe(false);
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: null })).toBe(false);
  expect(wantsUnsignedWeights({ architecture: 'x64', cpuInfo: 'processor : 0\n' })).toBe(false);
});

it('reads this machine without failing', () => {
  expect(readProcessor().architecture).toBe(process.arch);
});
