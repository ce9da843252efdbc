import { drawn, inWords, shown } from './figures';

const months = (...values: (number | null)[]) =>
  values.map((value, index) => ({
    month: `2026-0${index + 1}`,
    value,
    count: 1,
  }));

describe('figures', () => {
  it('are shown with their unit, and as a dash where nothing was counted', () => {
    expect(shown(null, 'percent')).toBe('—');
    expect(shown(99.44, 'percent')).toBe('99.4 %');
    expect(shown(0, 'count')).toBe('0');
    expect(shown(3.7, 'of 5')).toBe('3.7 of 5');
  });

  it('have a trend in words', () => {
    expect(inWords(months(null, 75, 80), 'percent')).toBe(
      '2026-02: 75 %, 2026-03: 80 %',
    );
    expect(inWords(months(null, null), 'percent')).toBe(
      'Nothing to count in these months',
    );
  });

  it('are drawn from zero, with the target, and with gaps', () => {
    const found = drawn(months(100, 50, null, 0), 100, 106, 26);
    const third = 100 / 3;
    expect(found.lines).toEqual([`3,3 ${3 + third},13`]);
    expect(found.dots).toEqual([{ x: 103, y: 23 }]);
    expect(found.target).toBe(3);
  });

  it('that are always the same are a line in the middle', () => {
    expect(drawn(months(0, 0), 0, 106, 26).lines).toEqual(['3,13 103,13']);
    expect(drawn(months(null), 5, 106, 26)).toEqual({
      lines: [],
      dots: [],
      target: null,
    });
  });
});
