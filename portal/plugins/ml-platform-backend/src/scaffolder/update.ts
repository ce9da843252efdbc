import { createTemplateAction } from '@backstage/plugin-scaffolder-node';

import { PlatformClient } from '../client';

const PAUSE_MILLISECONDS = 2000;
const OVER = ['completed', 'superseded', 'aborted', 'failed'];

interface Campaign {
  id: string;
  state: string;
  wave: number;
  message: string | null;
}

interface Member {
  org: string;
  name: string;
  wave: number;
  state: string;
  webUrl: string | null;
  message: string | null;
}

/** Brings a template's version to the repositories that came from it, by a campaign of pull requests. */
export function createUpdateAction(client: PlatformClient) {
  return createTemplateAction({
    id: 'mlplatform:fleet:update',
    description:
      'Starts a campaign that brings a version of a template to its repositories, one pull request each.',
    supportsDryRun: true,
    schema: {
      input: {
        template: z => z.string().default('golden-path'),
        version: z => z.string().describe('The version to bring'),
        owner: z =>
          z.string().optional().describe('Only repositories of this group'),
        waves: z =>
          z
            .array(z.number().int().positive())
            .default([3])
            .describe('How many repositories the first waves have'),
      },
      output: {
        campaign: z => z.string().describe('Id of the campaign'),
      },
    },
    async handler(ctx) {
      const credentials = await ctx.getInitiatorCredentials();
      const body = { ...ctx.input };
      if (ctx.isDryRun) {
        const planned = await client.json<
          { org: string; name: string; version: string }[]
        >('/fleet/campaigns/plan', credentials, { method: 'POST', body });
        planned.forEach(one =>
          ctx.logger.info(`${one.org}/${one.name} is on ${one.version}`),
        );
        ctx.output('campaign', 'dry-run');
        return;
      }
      const asked = await client.json<Campaign>(
        '/fleet/campaigns',
        credentials,
        {
          method: 'POST',
          body,
          headers: {
            'idempotency-key': `backstage-${ctx.task.id}-${
              ctx.step?.id ?? 'update'
            }`,
          },
        },
      );
      ctx.output('campaign', asked.id);
      const said = new Map<string, string>();
      for (;;) {
        const [now, members] = await Promise.all([
          client.json<Campaign>(`/fleet/campaigns/${asked.id}`, credentials, {
            signal: ctx.signal,
          }),
          client.json<{ items: Member[] }>(
            `/fleet/campaigns/${asked.id}/repositories?limit=500`,
            credentials,
            { signal: ctx.signal },
          ),
        ]);
        const wave = members.items.filter(one => one.wave <= now.wave);
        for (const one of wave) {
          const line = shown(one);
          if (said.get(one.name) !== line) {
            ctx.logger.info(line);
            said.set(one.name, line);
          }
        }
        // Merging is up to the owners: the task is done when every repository of the open wave has its request.
        if (
          OVER.includes(now.state) ||
          wave.every(one => one.state !== 'pending')
        ) {
          ctx.logger.info(
            `the campaign is ${now.state}${
              now.message ? `: ${now.message}` : ''
            }`,
          );
          return;
        }
        await new Promise(resolve => setTimeout(resolve, PAUSE_MILLISECONDS));
      }
    },
  });
}

function shown({ org, name, state, webUrl, message }: Member): string {
  const what = [state.replace(/_/g, ' '), webUrl, message].filter(Boolean);
  return `${org}/${name}: ${what.join(' ')}`;
}
