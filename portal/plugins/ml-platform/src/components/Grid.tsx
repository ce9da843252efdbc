import { ReactNode } from 'react';
import styles from './Grid.module.css';

/** A small table that is shown as a whole; lists that can be long have a table with pages. */
export const Grid = ({
  caption,
  head,
  rows,
}: {
  caption: string;
  head: string[];
  rows: ReactNode[][];
}) => (
  // Wide tables scroll by themselves, by keyboard too.
  <div
    className={styles.scroll}
    tabIndex={0}
    role="region"
    aria-label={caption}
  >
    <table className={styles.grid}>
      <caption>{caption}</caption>
      <thead>
        <tr>
          {head.map(name => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((cells, row) => (
          <tr key={row}>
            {cells.map((cell, column) => (
              <td key={column}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
);
