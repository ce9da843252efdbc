import { ReactNode } from 'react';
import styles from './Facts.module.css';

/** Names and values. */
export const Facts = ({ of }: { of: [string, ReactNode][] }) => (
  <dl className={styles.facts}>
    {of.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value ?? '—'}</dd>
      </div>
    ))}
  </dl>
);
