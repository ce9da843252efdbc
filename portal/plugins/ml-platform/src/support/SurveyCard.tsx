import { useApi } from '@backstage/frontend-plugin-api';
import {
  Button,
  Flex,
  Radio,
  RadioGroup,
  Text,
  TextAreaField,
} from '@backstage/ui';
import { useState } from 'react';

import { platformApiRef } from '../api/client';
import { useAction, useGet } from '../api/hooks';
import { Survey, SurveyResults } from '../api/types';
import { Facts } from '../components/Facts';
import { Fault } from '../components/Fault';
import { Section, Show } from '../components/Section';
import { sentences } from '../components/State';
import { utc } from '../components/Time';

const RATINGS: [number, string][] = [
  [1, '1, not at all'],
  [2, '2'],
  [3, '3'],
  [4, '4'],
  [5, '5, very'],
];

/** The survey of this quarter. */
export const SurveyCard = () => {
  const survey = useGet<Survey>('/support/survey', 60);
  return (
    <Section
      title={`How are we doing?${
        survey.data ? ` Survey of ${survey.data.quarter}` : ''
      }`}
    >
      <Show loaded={survey}>
        {found => (
          <Flex direction="column" gap="5">
            {found.action.allowed ? (
              <Questions key={found.quarter} of={found} done={survey.reload} />
            ) : (
              <Text color="secondary">
                {sentences(found.action.reason, found.action.fix)}
              </Text>
            )}
            <Results of={found.results} questions={found.questions} />
          </Flex>
        )}
      </Show>
    </Section>
  );
};

/** The questions, with what was answered before. */
export const Questions = ({ of, done }: { of: Survey; done: () => void }) => {
  const api = useApi(platformApiRef);
  const [ratings, setRatings] = useState<Record<string, number>>(
    of.answer?.ratings ?? {},
  );
  const [comment, setComment] = useState(of.answer?.comment ?? '');
  const { run, busy, error } = useAction(() =>
    api.post('/support/survey', { ratings, comment: comment.trim() }),
  );
  const missing = of.questions.some(({ name }) => !(name in ratings));
  return (
    <Flex direction="column" gap="4">
      <Text color="secondary">
        Each person counts once; you may change your answer until{' '}
        {utc(of.endsAt)}. It is kept under a keyed hash of you, and nothing is
        shown of a few answers. That you answered is on record, what you said is
        not.
      </Text>
      {of.questions.map(({ name, text }) => (
        <RadioGroup
          key={name}
          label={text}
          orientation="horizontal"
          value={name in ratings ? String(ratings[name]) : null}
          onChange={value =>
            setRatings(before => ({ ...before, [name]: Number(value) }))
          }
        >
          {RATINGS.map(([value, label]) => (
            <Radio key={value} value={String(value)}>
              {label}
            </Radio>
          ))}
        </RadioGroup>
      ))}
      <TextAreaField
        label="What should be better?"
        description="For the platform team alone; personal data in it is redacted. You need not write anything."
        value={comment}
        onChange={setComment}
        maxLength={2000}
        rows={3}
      />
      {error && <Fault error={error} />}
      <Flex>
        <Button
          isPending={busy}
          isDisabled={busy || missing}
          onPress={async () => {
            if (await run()) {
              done();
            }
          }}
        >
          {of.answer ? 'Change my answer' : 'Answer'}
        </Button>
      </Flex>
    </Flex>
  );
};

const Results = ({
  of,
  questions,
}: {
  of: SurveyResults;
  questions: Survey['questions'];
}) =>
  of.enough ? (
    <Flex direction="column" gap="3">
      <Text as="h3" weight="bold">
        {of.mean} of 5, of {of.answers} answers
      </Text>
      <Facts
        of={questions.map(({ name, text }): [string, string] => [
          text,
          String(of.means[name] ?? '—'),
        ])}
      />
      {of.comments?.map((one, index) => (
        <Text key={index} style={{ overflowWrap: 'anywhere' }}>
          “{one}”
        </Text>
      ))}
    </Flex>
  ) : (
    <Text color="secondary">
      {of.answers === 1 ? '1 answer' : `${of.answers} answers`} so far: too few
      to be shown.
    </Text>
  );
