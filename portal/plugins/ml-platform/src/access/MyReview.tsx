import { Flex, Text } from '@backstage/ui';

import { useGet, usePages } from '../api/hooks';
import { ReviewItem, WholeReview } from '../api/types';
import { More } from '../components/More';
import { Nothing, Show } from '../components/Section';
import { State } from '../components/State';
import { Time, utc } from '../components/Time';
import { Item } from './Item';
import { lateness } from './said';

/** What the signed-in person can confirm or revoke now. */
export const MyReview = () => {
  const items = usePages<ReviewItem>('/access/review-items?limit=20', 15);
  return (
    <Show loaded={items}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what="Nothing waits for your review."
            how="While an access review is open, the permissions that your groups look after are here. Nobody reviews their own."
          />
        ) : (
          <Flex direction="column" gap="4">
            <Until review={found[0].reviewId} />
            {found.map(one => (
              <Item key={one.id} of={one} done={items.reload} />
            ))}
            <More pages={items} />
          </Flex>
        )
      }
    </Show>
  );
};

const Until = ({ review }: { review: string }) => {
  const { data } = useGet<WholeReview>(`/access/reviews/${review}`, 30);
  if (!data) {
    return null;
  }
  const late = lateness(data);
  return (
    <Text style={{ overflowWrap: 'anywhere' }}>
      {data.name}: what nobody confirms until {utc(data.dueAt)} (
      <Time at={data.dueAt} />) expires.{' '}
      {late && <State of={late.state} text={late.text} />}
    </Text>
  );
};
