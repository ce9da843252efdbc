import {
  Card,
  CardBody,
  CardHeader,
  Flex,
  Skeleton,
  Text,
} from '@backstage/ui';
import { ReactNode } from 'react';

import { Loaded } from '../api/hooks';
import { Fault } from './Fault';

/** A titled part of a page. */
export const Section = ({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ReactNode;
  children: ReactNode;
}) => (
  <Card>
    <CardHeader>
      <Flex
        justify="between"
        align="center"
        gap="2"
        style={{ flexWrap: 'wrap' }}
      >
        <Text as="h2" variant="title-x-small">
          {title}
        </Text>
        {actions}
      </Flex>
    </CardHeader>
    <CardBody>{children}</CardBody>
  </Card>
);

/** Shows what was asked for once it is there; until then that it is loading, or why it did not come. */
export function Show<T>({
  loaded,
  children,
}: {
  loaded: Loaded<T>;
  children: (data: T) => ReactNode;
}) {
  const { data, error, reload } = loaded;
  return (
    <Flex direction="column" gap="3">
      {error && <Fault error={error} retry={reload} />}
      {data !== undefined && children(data)}
      {data === undefined && !error && (
        <Skeleton height={72} aria-label="Loading" />
      )}
    </Flex>
  );
}

/** Says plainly that there is nothing to show, and how that changes. */
export const Nothing = ({ what, how }: { what: string; how?: ReactNode }) => (
  <Flex direction="column" gap="1">
    <Text>{what}</Text>
    {how && <Text color="secondary">{how}</Text>}
  </Flex>
);
