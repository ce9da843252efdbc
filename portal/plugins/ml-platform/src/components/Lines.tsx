import {
  CartesianGrid,
  Legend,
  Line,
  LineChart,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';
import { Flex, Text } from '@backstage/ui';

/** A line of a graph. */
export interface Series {
  key: string;
  name: string;
  colour: string;
  stroke?: 'dashed' | 'dotted';
}

interface Props {
  title: string;
  /** What the graph shows, for those who can't see it. */
  summary: string;
  data: Record<string, number | string | null>[];
  x: string;
  series: Series[];
  limits?: { value: number; name: string }[];
  /** Whether the axis begins at zero; else it begins near the least value. */
  fromZero?: boolean;
  format: (value: number) => string;
}

/** Colours that can be told apart by everybody (after Okabe and Ito); the blue is lighter, for the dark theme. */
export const COLOURS = [
  '#3396dd',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
];

const DASHES = { dashed: '5 4', dotted: '1 4' };

/** A graph of lines. */
export const Lines = ({
  title,
  summary,
  data,
  x,
  series,
  limits = [],
  fromZero,
  format,
}: Props) => (
  <Flex direction="column" gap="1" style={{ minWidth: 0 }}>
    <Text as="h3" variant="body-medium" weight="bold">
      {title}
    </Text>
    <div role="img" aria-label={summary} style={{ height: 220, width: '100%' }}>
      <ResponsiveContainer>
        <LineChart
          data={data}
          margin={{ top: 8, right: 16, bottom: 0, left: 0 }}
        >
          <CartesianGrid strokeDasharray="3 3" stroke="var(--bui-border-2)" />
          <XAxis
            dataKey={x}
            tick={{ fontSize: 12, fill: 'var(--bui-fg-secondary)' }}
            minTickGap={24}
          />
          <YAxis
            width={64}
            domain={[fromZero ? 0 : 'auto', 'auto']}
            tickFormatter={format}
            tick={{ fontSize: 12, fill: 'var(--bui-fg-secondary)' }}
          />
          <Tooltip
            formatter={(value: number) => format(value)}
            contentStyle={{
              background: 'var(--bui-bg-popover, var(--bui-bg-app))',
              border: '1px solid var(--bui-border-2)',
            }}
          />
          <Legend
            wrapperStyle={{ fontSize: 12 }}
            formatter={name => (
              <span style={{ color: 'var(--bui-fg-primary)' }}>{name}</span>
            )}
          />
          {limits.map(({ value, name }) => (
            <ReferenceLine
              key={name}
              y={value}
              ifOverflow="extendDomain"
              stroke="var(--bui-fg-danger)"
              strokeDasharray="6 3"
              label={{
                value: name,
                position: 'insideTopRight',
                fontSize: 12,
                fill: 'var(--bui-fg-danger)',
              }}
            />
          ))}
          {series.map(({ key, name, colour, stroke }) => (
            <Line
              key={key}
              dataKey={key}
              name={name}
              stroke={colour}
              strokeWidth={2}
              strokeDasharray={stroke && DASHES[stroke]}
              // A value without neighbours is seen by its dot alone.
              dot={data.filter(row => typeof row[key] === 'number').length < 30}
              connectNulls
              isAnimationActive={false}
            />
          ))}
        </LineChart>
      </ResponsiveContainer>
    </div>
  </Flex>
);
