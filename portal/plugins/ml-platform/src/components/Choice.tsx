import { Select } from '@backstage/ui';

/** A choice of one among a few, as lists are filtered by. */
export const Choice = ({
  name,
  of,
  value,
  choose,
}: {
  name: string;
  /** What is shown, by value. */
  of: Record<string, string>;
  value: string;
  choose: (value: string) => void;
}) => (
  <Select
    label={name}
    size="small"
    options={Object.entries(of).map(([id, label]) => ({ id, label }))}
    value={value}
    onChange={chosen => choose(String(chosen))}
  />
);
