import { Button, Flex, Text } from '@backstage/ui';
import { useState } from 'react';

import { usePages } from '../api/hooks';
import { Action, SubjectRequest } from '../api/types';
import { Choice } from '../components/Choice';
import { Details } from '../components/Details';
import { AskForAccess } from '../components/Fault';
import { More } from '../components/More';
import { Nothing, Section, Show } from '../components/Section';
import { sentences, words } from '../components/State';
import { ago } from '../components/Time';
import { shortRef } from '../model';
import { Find } from './Find';
import { OneRequest } from './OneRequest';

const ALL = { all: 'All', overdue: 'Overdue' };

/** Data-subject requests, for those who may see them. */
export const SubjectRequests = ({ find }: { find?: Action }) => {
  const [which, setWhich] = useState('all');
  const [finding, setFinding] = useState(false);
  return (
    <Section
      title="Data-subject requests"
      actions={
        <Flex gap="2" align="end" style={{ flexWrap: 'wrap' }}>
          {find?.allowed && (
            <Choice name="Show" of={ALL} value={which} choose={setWhich} />
          )}
          <Button
            size="small"
            isDisabled={!find?.allowed}
            onPress={() => setFinding(true)}
          >
            Find a person…
          </Button>
        </Flex>
      }
    >
      {find && !find.allowed && (
        <Flex direction="column" gap="3">
          <Text>
            {sentences(
              // The command that a terminal would want is a button here.
              find.reason?.replace(/; ask with `[^`]*`/, ''),
              find.fix,
            )}
          </Text>
          <Flex>
            <AskForAccess action="erase-subject" resource="platform" />
          </Flex>
        </Flex>
      )}
      {find?.allowed && (
        <List overdue={which === 'overdue'} finding={finding} />
      )}
      {finding && <Find close={() => setFinding(false)} />}
    </Section>
  );
};

const List = ({ overdue, finding }: { overdue: boolean; finding: boolean }) => {
  const requests = usePages<SubjectRequest>(
    `/privacy/subject-requests?limit=20${overdue ? '&overdue=true' : ''}`,
    // Seen as soon as it is there.
    finding ? 1 : 5,
  );
  return (
    <Show loaded={requests}>
      {found =>
        found.length === 0 ? (
          <Nothing
            what={
              overdue
                ? 'No request is overdue.'
                : 'Nobody has asked to be found or forgotten yet.'
            }
          />
        ) : (
          <Flex direction="column" gap="2">
            {found.map(one => (
              <Details
                key={one.id}
                title={`${one.reason}: ${words(one.state)}${
                  one.overdue ? ', overdue' : ''
                }`}
                subtitle={`${one.found} found; asked by ${shortRef(
                  one.requestedBy,
                )} ${ago(one.requestedAt)}, due ${ago(one.dueAt)}`}
              >
                {() => <OneRequest id={one.id} />}
              </Details>
            ))}
            <More pages={requests} />
          </Flex>
        )
      }
    </Show>
  );
};
