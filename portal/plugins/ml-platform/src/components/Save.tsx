import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex } from '@backstage/ui';

import { platformApiRef } from '../api/client';
import { useAction } from '../api/hooks';
import { Fault } from './Fault';

/** Gets a document, which takes the user's token and so can't be a link, and saves it as a file. */
export const Save = <T,>({
  path,
  name,
  verb,
  part = document => document,
}: {
  path: string;
  /** The file's name. */
  name: string;
  verb: string;
  /** What of the answer is saved. */
  part?: (document: T) => unknown;
}) => {
  const api = useApi(platformApiRef);
  const { run, busy, error } = useAction(async () => {
    const text = JSON.stringify(part(await api.get<T>(path)), null, 2);
    const address = URL.createObjectURL(
      new Blob([text], { type: 'application/json' }),
    );
    const link = document.createElement('a');
    link.href = address;
    link.download = name;
    link.click();
    URL.revokeObjectURL(address);
  });
  return (
    <Flex direction="column" gap="2">
      {error && <Fault error={error} />}
      <Flex>
        <Button
          size="small"
          variant="secondary"
          isPending={busy}
          onPress={() => run()}
        >
          {verb}
        </Button>
      </Flex>
    </Flex>
  );
};
