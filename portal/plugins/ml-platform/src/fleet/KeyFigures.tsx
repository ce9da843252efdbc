import { Flex, Text } from '@backstage/ui';

import { KeyFigure } from '../api/types';
import { words } from '../components/State';
import styles from './KeyFigures.module.css';

/** The figures that the platform is held to. */
export const KeyFigures = ({ of }: { of: KeyFigure[] }) => (
  <ul className={styles.figures}>
    {of.map(({ name, value, unit, target, count, meaning }) => (
      <li key={name}>
        <Text as="h3" variant="body-small" color="secondary">
          {words(name)}
        </Text>
        <Text variant="title-small">
          {value === null ? '—' : shown(value, unit)}
        </Text>
        <Flex direction="column" gap="0.5">
          <Text variant="body-small">
            {target === null ? '' : `Target: ${shown(target, unit)}. `}
            {value === null ? 'Nothing to count yet.' : `Of ${count} counted.`}
          </Text>
          <Text variant="body-small" color="secondary">
            {meaning}
          </Text>
        </Flex>
      </li>
    ))}
  </ul>
);

function shown(value: number, unit: string): string {
  const text = Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (unit === 'count') {
    return text;
  }
  return unit === 'percent' ? `${text} %` : `${text} ${unit}`;
}
