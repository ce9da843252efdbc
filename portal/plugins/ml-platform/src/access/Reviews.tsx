import { useApi } from '@backstage/frontend-plugin-api';
import { Button, Flex, Switch, Text, TextField } from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useGet, usePages } from '../api/hooks';
import { Action, Page, Review, ReviewItem, WholeReview } from '../api/types';
import { Choice } from '../components/Choice';
import { Confirm } from '../components/Confirm';
import { Details } from '../components/Details';
import { Facts } from '../components/Facts';
import { More } from '../components/More';
import { Offers } from '../components/Offers';
import { Save } from '../components/Save';
import { Nothing, Section, Show } from '../components/Section';
import { sentences, State, words } from '../components/State';
import { Time } from '../components/Time';
import { shortRef } from '../model';
import { Item } from './Item';
import { lateness } from './said';

const OVER = ['closed', 'failed'];
const SHORTEST_REASON = 8;

/** Access reviews: how far each is, what came of it, and opening and closing one. */
export const Reviews = () => {
  const reviews = usePages<Review>('/access/reviews?limit=5', 10);
  const actions = useGet<Page<Action>>('/access/actions', 60);
  const [opening, setOpening] = useState(false);
  const open = actions.data?.items.find(one => one.action === 'open-review');
  const running = reviews.data?.some(({ state }) => !OVER.includes(state));
  return (
    <Section
      title="Access reviews"
      actions={
        <Button
          size="small"
          isDisabled={!open?.allowed || running}
          onPress={() => setOpening(true)}
        >
          Open a review…
        </Button>
      }
    >
      <Flex direction="column" gap="4">
        {open && !open.allowed && (
          <Text variant="body-small" color="secondary">
            {sentences(open.reason, open.fix)}
          </Text>
        )}
        <Show loaded={reviews}>
          {found =>
            found.length === 0 ? (
              <Nothing
                what="There was no access review yet."
                how="One can be opened here, or opens by itself every quarter (`access.reviews.enabled`)."
              />
            ) : (
              <Flex direction="column" gap="5">
                {found.map(one => (
                  <One key={one.id} of={one} done={reviews.reload} />
                ))}
                <More pages={reviews} />
              </Flex>
            )
          }
        </Show>
      </Flex>
      {opening && (
        <Open
          close={() => {
            setOpening(false);
            reviews.reload();
          }}
        />
      )}
    </Section>
  );
};

const One = ({ of, done }: { of: Review; done: () => void }) => {
  const late = lateness(of);
  const counts = Object.entries(of.counts);
  return (
    <Flex direction="column" gap="2" style={{ overflowWrap: 'anywhere' }}>
      <Text as="h3" weight="bold">
        {of.name} <State of={of.state} />
      </Text>
      <Facts
        of={[
          [
            'Permissions',
            counts
              .map(([state, count]) => `${count} ${words(state)}`)
              .join(', ') || 'none',
          ],
          ['Opened by', shortRef(of.openedBy)],
          ['Opened', <Time key="opened" at={of.openedAt} />],
          of.closedAt
            ? ['Closed', <Time key="closed" at={of.closedAt} />]
            : [
                'Due',
                <span key="due">
                  <Time at={of.dueAt} />{' '}
                  {late && <State of={late.state} text={late.text} />}
                </span>,
              ],
          ...(of.closedBy
            ? ([
                ['Closed by', shortRef(of.closedBy)],
                ['Because', of.closeReason],
              ] as [string, string | null][])
            : []),
        ]}
      />
      {of.digest && (
        <Save
          path={`/access/reviews/${of.id}/result`}
          name={`access-review-${of.id}.json`}
          verb="Save the signed result"
        />
      )}
      {of.state === 'open' && <Closing of={of} done={done} />}
      <Details
        title={`Permissions of ${of.name}`}
        subtitle="who decided what, and what is still to be done"
      >
        {() => <Items review={of.id} />}
      </Details>
    </Flex>
  );
};

const STATES = {
  any: 'Any',
  pending: 'pending',
  confirmed: 'confirmed',
  revoked: 'revoked',
  expired: 'expired',
};

const Items = ({ review }: { review: string }) => {
  const [state, setState] = useState('any');
  const query = state === 'any' ? '' : `&state=${state}`;
  const items = usePages<ReviewItem>(
    `/access/reviews/${review}/items?limit=20${query}`,
    15,
  );
  return (
    <Flex direction="column" gap="4">
      <Flex style={{ alignSelf: 'start' }}>
        <Choice name="State" of={STATES} value={state} choose={setState} />
      </Flex>
      <Show loaded={items}>
        {found =>
          found.length === 0 ? (
            <Nothing what="No permission is like that." />
          ) : (
            <Flex direction="column" gap="4">
              {found.map(one => (
                <Item key={one.id} of={one} done={items.reload} />
              ))}
              <More pages={items} />
            </Flex>
          )
        }
      </Show>
    </Flex>
  );
};

const Open = ({ close }: { close: () => void }) => {
  const api = useApi(platformApiRef);
  const [key] = useState(() => crypto.randomUUID());
  const [name, setName] = useState('');
  return (
    <Confirm
      title="Open an access review?"
      verb="Open"
      otherwise="Cancel"
      ready={name.trim().length > 0}
      act={() => api.post('/access/reviews', { name: name.trim() }, key)}
      close={close}
    >
      <Flex direction="column" gap="3">
        <Text>
          Every standing permission is listed: memberships, roles, ownerships
          and grants. Its owner confirms or revokes each; what nobody confirms
          in time expires.
        </Text>
        <TextField
          label="Name"
          placeholder="second quarter 2026"
          value={name}
          onChange={setName}
          isRequired
        />
      </Flex>
    </Confirm>
  );
};

const Closing = ({ of, done }: { of: Review; done: () => void }) => {
  const api = useApi(platformApiRef);
  const whole = useGet<WholeReview>(`/access/reviews/${of.id}`, 15);
  const [key, setKey] = useState<string>();
  const [expire, setExpire] = useState(false);
  const waiting = (whole.data ?? of).counts.pending ?? 0;
  return (
    <>
      <Offers
        // Above it stands already who may open one; it is the same people.
        of={whole.data?.actions.filter(({ allowed }) => allowed) ?? []}
        names={{ close: 'Close…' }}
        choose={() => {
          whole.reload();
          setKey(crypto.randomUUID());
        }}
      />
      {key && (
        <Confirm
          title={`Close ${of.name}?`}
          verb="Close the review"
          destructive={waiting > 0}
          ready={waiting === 0 || expire}
          reason="required"
          shortest={SHORTEST_REASON}
          act={reason =>
            api.post(
              `/access/reviews/${of.id}/close`,
              { reason, expirePending: expire },
              key,
            )
          }
          close={() => {
            setKey(undefined);
            whole.reload();
            done();
          }}
        >
          <Flex direction="column" gap="3">
            <Text>
              It ends now, and its result is signed.{' '}
              {waiting > 0 &&
                `${waiting} ${
                  waiting === 1 ? 'permission is' : 'permissions are'
                } not decided about: grants among them end at once, of everything else the result says who has to end it.`}
            </Text>
            {waiting > 0 && (
              <Switch
                label="Let what is not decided about expire"
                isSelected={expire}
                onChange={setExpire}
              />
            )}
          </Flex>
        </Confirm>
      )}
    </>
  );
};
