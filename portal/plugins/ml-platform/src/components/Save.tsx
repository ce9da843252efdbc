import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex } from '@backstage/ui';

import { PlatformApi, platformApiRef } from '../api/client';
import { useAction } from '../api/hooks';
import { Fault } from './Fault';

interface Props {
  path: string;
  /** The file's name. */
  name: string;
  verb: string;
}

/** Gets a document, which takes the user's token and so can't be a link, and saves it as a file. */
export const Save = <T,>({
  part = document => document,
  ...rest
}: Props & {
  /** What of the answer is saved. */
  part?: (document: T) => unknown;
}) => (
  <Saving
    {...rest}
    get={async (api, path) => {
      const text = JSON.stringify(part(await api.get<T>(path)), null, 2);
      return new Blob([text], { type: 'application/json' });
    }}
  />
);

/** Gets a file as it is, and saves it. */
export const SaveFile = (props: Props) => (
  <Saving {...props} get={(api, path) => api.download(path)} />
);

const Saving = ({
  path,
  name,
  verb,
  get,
}: Props & { get: (api: PlatformApi, path: string) => Promise<Blob> }) => {
  const api = useApi(platformApiRef);
  const { run, busy, error } = useAction(async () => {
    const address = URL.createObjectURL(await get(api, path));
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
