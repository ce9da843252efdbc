import { Dialog, DialogBody, DialogHeader, Flex, Text } from '@backstage/ui';

import { useGet } from '../api/hooks';
import { FigureDetail } from '../api/types';
import { Grid } from '../components/Grid';
import { COLOURS, Lines } from '../components/Lines';
import { Nothing, Show } from '../components/Section';
import { words } from '../components/State';
import { utc } from '../components/Time';
import { inWords, shown } from './figures';

/** A figure with how it was in each month, and the events that it is counted from. */
export const OneFigure = ({
  name,
  close,
}: {
  name: string;
  close: () => void;
}) => {
  const detail = useGet<FigureDetail>(`/overview/figures/${name}?months=12`);
  return (
    <Dialog isOpen onOpenChange={open => !open && close()} width={860}>
      <DialogHeader>{words(name)}</DialogHeader>
      <DialogBody>
        <Show loaded={detail}>{found => <Whole of={found} />}</Show>
      </DialogBody>
    </Dialog>
  );
};

const Whole = ({ of }: { of: FigureDetail }) => {
  const { figure, trend, evidence, more } = of;
  const format = (value: number) => shown(value, figure.unit);
  return (
    <Flex direction="column" gap="4">
      <Text>{figure.meaning}</Text>
      <Lines
        title="By month"
        summary={`By month: ${inWords(trend, figure.unit)}`}
        data={trend.map(({ month, value }) => ({ month, value }))}
        x="month"
        series={[
          { key: 'value', name: words(figure.name), colour: COLOURS[0] },
        ]}
        limits={
          figure.target === null
            ? []
            : [
                {
                  value: figure.target,
                  name: `target ${format(figure.target)}`,
                },
              ]
        }
        fromZero
        format={format}
      />
      {evidence.length === 0 ? (
        <Nothing what="Nothing was counted in the last 30 days." />
      ) : (
        <Grid
          caption={`What it is counted from in the last 30 days${
            more > 0 ? `; ${more} older ones are not listed` : ''
          }`}
          head={['When', 'What', 'Value', '']}
          rows={evidence.map(one => [
            utc(one.at),
            one.subject,
            figure.unit === 'percent' ? yes(one.value) : format(one.value),
            one.note,
          ])}
        />
      )}
    </Flex>
  );
};

/** Of a share each event counts or does not. */
function yes(value: number): string {
  return value === 0 ? 'no' : 'yes';
}
