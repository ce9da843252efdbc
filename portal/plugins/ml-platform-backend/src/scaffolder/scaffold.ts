import { createTemplateAction } from '@backstage/plugin-scaffolder-node';
import { JsonValue } from '@backstage/types';

import { PlatformClient } from '../client';
import { follow } from './events';

interface Scaffold {
  id: string;
  name: string;
  state:
    | 'pending'
    | 'running'
    | 'cleaning_up'
    | 'done'
    | 'failed'
    | 'cancelled';
  reason: string | null;
  fix: string | null;
  commit: string | null;
  cloneUrl: string | null;
  webUrl: string | null;
}

interface Progress {
  state: string;
  message: string;
}

/** Makes a model repository on the platform, with its progress in the task's log. */
export function createScaffoldAction(client: PlatformClient) {
  return createTemplateAction({
    id: 'mlplatform:scaffold',
    description:
      'Makes a model repository: renders the template, pushes it, protects its branch and registers it in the catalog.',
    supportsDryRun: true,
    schema: {
      input: {
        name: z => z.string().describe('Name of the repository'),
        type: z =>
          z
            .enum(['realtime', 'batch', 'streaming'])
            .optional()
            .describe('Which golden path; not for other templates'),
        template: z =>
          z.string().default('golden-path').describe('Name of the template'),
        version: z =>
          z
            .string()
            .optional()
            .describe('A released version of it; the newest if left out'),
        owner: z =>
          z
            .string()
            .optional()
            .describe('Owning group, for a template that does not ask for it'),
        answers: z =>
          z
            .record(z.any())
            .default({})
            .describe("Answers to the template's questions"),
      },
      output: {
        entityRef: z => z.string().describe('The component in the catalog'),
        repositoryUrl: z =>
          z.string().optional().describe('The repository in a browser'),
        cloneUrl: z =>
          z.string().optional().describe('Where git clones it from'),
        commit: z => z.string().optional().describe('Its first commit'),
      },
    },
    async handler(ctx) {
      const credentials = await ctx.getInitiatorCredentials();
      const { name, type, template, version, owner, answers } = ctx.input;
      const body = {
        name,
        template,
        ...(type ? { type } : {}),
        ...(version ? { templateVersion: version } : {}),
        ...(owner ? { owner } : {}),
        answers: given(answers),
      };
      const entityRef = `component:default/${name}`;
      if (ctx.isDryRun) {
        const plan = await client.json<{
          files: string[];
          templateVersion: string;
        }>('/scaffolds/plan', credentials, {
          method: 'POST',
          body,
          signal: ctx.signal,
        });
        ctx.logger.info(
          `${template} ${plan.templateVersion} would make ${plan.files.length} files:`,
        );
        plan.files.forEach(file => ctx.logger.info(`  ${file}`));
        ctx.output('entityRef', entityRef);
        return;
      }
      const asked = await client.json<Scaffold>('/scaffolds', credentials, {
        method: 'POST',
        body,
        // A task that is tried again must not make a second repository.
        headers: {
          'idempotency-key': `backstage-${ctx.task.id}-${ctx.step?.id ?? name}`,
        },
      });
      const cancel = () => {
        void client
          .call(`/scaffolds/${asked.id}/cancel`, credentials, {
            method: 'POST',
          })
          .catch(error => ctx.logger.warn(String(error)));
      };
      ctx.signal?.addEventListener('abort', cancel, { once: true });
      let done: Scaffold = asked;
      for await (const event of follow(
        client,
        `/scaffolds/${asked.id}/events`,
        credentials,
        ctx.signal,
      )) {
        if (event.event === 'progress') {
          const progress = JSON.parse(event.data) as Progress;
          ctx.logger.info(progress.message);
        } else if (event.event === 'end') {
          done = JSON.parse(event.data) as Scaffold;
        }
      }
      ctx.signal?.removeEventListener('abort', cancel);
      if (done.state !== 'done') {
        throw new Error(
          [done.reason ?? `the scaffold is ${done.state}`, done.fix]
            .filter(Boolean)
            .join(' '),
        );
      }
      ctx.output('entityRef', entityRef);
      ctx.output('repositoryUrl', done.webUrl ?? undefined);
      ctx.output('cloneUrl', done.cloneUrl ?? undefined);
      ctx.output('commit', done.commit ?? undefined);
    },
  });
}

/** Leaves out what the form left empty: the template's own default stands for it. */
function given(answers: Record<string, JsonValue>): Record<string, JsonValue> {
  return Object.fromEntries(
    Object.entries(answers).filter(
      ([, value]) => value !== '' && value !== null && value !== undefined,
    ),
  );
}
