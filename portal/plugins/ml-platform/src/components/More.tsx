import { Button } from '@backstage/ui';

import { Pages } from '../api/hooks';

/** Reads the next page of a list, if there is one. */
export const More = <T,>({ pages }: { pages: Pages<T> }) =>
  pages.more ? (
    <Button variant="secondary" onPress={pages.more} isPending={pages.loading}>
      Show more
    </Button>
  ) : null;
