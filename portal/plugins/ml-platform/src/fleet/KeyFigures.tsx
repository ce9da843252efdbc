import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { KeyFigureWithTrend } from '../api/types';
import { State, words } from '../components/State';
import { drawn, inWords, shown } from './figures';
import { OneFigure } from './OneFigure';
import styles from './KeyFigures.module.css';

/** The figures that the platform is held to, each with its trend, its target and the events behind it. */
export const KeyFigures = ({ of }: { of: KeyFigureWithTrend[] }) => {
  const [opened, setOpened] = useState<string>();
  return (
    <>
      <ul className={styles.figures}>
        {of.map(one => (
          <Figure key={one.name} of={one} open={() => setOpened(one.name)} />
        ))}
      </ul>
      {opened && <OneFigure name={opened} close={() => setOpened(undefined)} />}
    </>
  );
};

const Figure = ({ of, open }: { of: KeyFigureWithTrend; open: () => void }) => {
  const { name, value, unit, target, count, meaning, reached } = of;
  return (
    <li>
      <Text as="h3" variant="body-small" color="secondary">
        {words(name)}
      </Text>
      <Flex justify="between" align="center" gap="3">
        <Text variant="title-small">{shown(value, unit)}</Text>
        <Trend of={of} />
      </Flex>
      <Flex direction="column" gap="0.5">
        <Text variant="body-small">
          {reached !== null && (
            <State
              of={reached ? 'met' : 'at_risk'}
              text={reached ? 'On target. ' : 'Off target. '}
            />
          )}
          {target === null ? '' : `Target: ${shown(target, unit)}. `}
          {value === null ? 'Nothing to count yet.' : `Of ${count} counted.`}
        </Text>
        <Text variant="body-small" color="secondary">
          {meaning}
        </Text>
        <Flex>
          <Button
            size="small"
            variant="tertiary"
            aria-label={`Trend and events of ${words(name)}`}
            onPress={open}
          >
            Trend and events…
          </Button>
        </Flex>
      </Flex>
    </li>
  );
};

const WIDTH = 120;
const HEIGHT = 32;

/** A small graph of the last months; the target is a dashed line. */
const Trend = ({ of }: { of: KeyFigureWithTrend }) => {
  const { lines, dots, target } = drawn(of.trend, of.target, WIDTH, HEIGHT);
  return (
    <svg
      className={styles.trend}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={`By month: ${inWords(of.trend, of.unit)}`}
    >
      {target !== null && (
        <line
          className={styles.target}
          x1={0}
          x2={WIDTH}
          y1={target}
          y2={target}
        />
      )}
      {lines.map(points => (
        <polyline key={points} points={points} />
      ))}
      {dots.map(({ x, y }) => (
        <circle key={x} cx={x} cy={y} r={2} />
      ))}
    </svg>
  );
};
