import { FigureMonth } from '../api/types';

/** Returns a figure's value with its unit. */
export function shown(value: number | null, unit: string): string {
  if (value === null) {
    return '—';
  }
  const text = Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (unit === 'count') {
    return text;
  }
  return unit === 'percent' ? `${text} %` : `${text} ${unit}`;
}

/** Returns a trend in words, for those who can't see the graph. */
export function inWords(trend: FigureMonth[], unit: string): string {
  const known = trend.filter(({ value }) => value !== null);
  return known.length === 0
    ? 'Nothing to count in these months'
    : known
        .map(({ month, value }) => `${month}: ${shown(value, unit)}`)
        .join(', ');
}

/** A line through months that follow each other, and the dots of months that stand alone. */
export interface Drawing {
  lines: string[];
  dots: { x: number; y: number }[];
  /** Where the target is, if it is given. */
  target: number | null;
}

/** Returns a trend as what an SVG of that size draws; months without a value leave a gap. */
export function drawn(
  trend: FigureMonth[],
  target: number | null,
  width: number,
  height: number,
): Drawing {
  const values = trend.flatMap(({ value }) => (value === null ? [] : [value]));
  const heights = target === null ? values : [...values, target];
  const top = Math.max(...heights, 0);
  const bottom = Math.min(...heights, 0);
  const margin = 3;
  const x = (index: number) =>
    margin + (index * (width - 2 * margin)) / Math.max(trend.length - 1, 1);
  const y = (value: number) =>
    top === bottom
      ? height / 2
      : margin + ((top - value) * (height - 2 * margin)) / (top - bottom);
  const runs: { x: number; y: number }[][] = [[]];
  trend.forEach(({ value }, index) => {
    if (value === null) {
      runs.push([]);
    } else {
      runs[runs.length - 1].push({ x: x(index), y: y(value) });
    }
  });
  return {
    lines: runs
      .filter(run => run.length > 1)
      .map(run => run.map(one => `${one.x},${one.y}`).join(' ')),
    dots: runs.filter(run => run.length === 1).map(([one]) => one),
    target: target === null || values.length === 0 ? null : y(target),
  };
}
