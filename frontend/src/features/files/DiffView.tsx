import type { Content } from '@/lib/events/types';
import { bytes } from '@/lib/format/text';
import { parsePatch } from './patch';

const LOOK = {
  added: 'bg-ok-soft text-text',
  removed: 'bg-danger-soft text-text',
  same: 'text-text-2',
  hunk: 'bg-info-soft text-info',
};
const SIGN_COLOUR = { added: 'text-ok', removed: 'text-danger', same: '', hunk: '' };
const SIGN = { added: '+', removed: '−', same: ' ', hunk: ' ' };

/** A unified diff with line numbers. */
export function DiffView({ path, patch, tall = false }: { path: string; patch: Content; tall?: boolean }) {
  const lines = parsePatch(patch.text);
  return (
    <figure className="m-0 overflow-hidden rounded-ctl border border-line bg-sunken">
      <figcaption className="flex h-6 items-center border-b border-line px-2.5 font-mono text-meta text-text-3">
        {path}
      </figcaption>
      <div
        tabIndex={0}
        role="group"
        aria-label={`Diff of ${path}`}
        className={`overflow-auto ${tall ? '' : 'max-h-80'}`}
      >
        <table className="w-full border-collapse font-mono text-code [font-variant-ligatures:none]">
          <tbody>
            {lines.map((line, index) => (
              <tr key={index} className={LOOK[line.kind]}>
                <td className="w-8 min-w-8 select-none px-1 text-right align-top text-meta text-text-3">
                  {line.before ?? ''}
                </td>
                <td className="w-8 min-w-8 select-none px-1 text-right align-top text-meta text-text-3">
                  {line.after ?? ''}
                </td>
                <td className={`w-4 min-w-4 select-none text-center align-top ${SIGN_COLOUR[line.kind]}`}>
                  {SIGN[line.kind]}
                </td>
                <td className="whitespace-pre pr-3">{line.text || ' '}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {patch.blob && (
        <p className="px-2.5 py-1 text-meta text-text-3">The beginning of a diff of {bytes(patch.blob.bytes)}.</p>
      )}
    </figure>
  );
}
