import { bytes, lastQuarter, wrong } from './periods';

describe('the period of an export', () => {
  it('is the last quarter, also across a year', () => {
    expect(lastQuarter(new Date('2026-11-27T10:00:00Z'))).toEqual({
      from: '2026-07-01',
      to: '2026-10-01',
    });
    expect(lastQuarter(new Date('2026-01-01T00:00:00Z'))).toEqual({
      from: '2025-10-01',
      to: '2026-01-01',
    });
  });

  it('has to be two days, in order and over', () => {
    const now = new Date('2026-11-27T10:00:00Z');
    expect(wrong({ from: '2026-11-01', to: '2026-11-27' }, now)).toBe(
      undefined,
    );
    expect(wrong({ from: '2026-11-01', to: '2026-11-28' }, now)).toMatch(
      'over',
    );
    expect(wrong({ from: '2026-11-27', to: '2026-11-27T09:59:59Z' }, now)).toBe(
      undefined,
    );
    expect(
      wrong({ from: '2026-11-27', to: '2026-11-27T10:00:01Z' }, now),
    ).toMatch('over');
    expect(wrong({ from: '2026-11-02', to: '2026-11-02' }, now)).toMatch(
      'before',
    );
    for (const day of [
      '',
      '1 Nov',
      '2026-13-01',
      '2026-11-01T00:00',
      '2026-11-01T25:00:00Z',
    ]) {
      expect(wrong({ from: day, to: '2026-11-02' }, now)).toMatch('written');
    }
  });
});

describe('bytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1500, '1.5 kB'],
    [45_000_000, '45 MB'],
    [7e12, '7000 GB'],
  ])('%d is %s', (count, said) => expect(bytes(count)).toBe(said));
});
