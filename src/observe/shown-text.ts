/**
 * Text from outside (sensor names, messages of clients and libraries) made fit to be shown: control
 * characters cannot steer a terminal or forge a second line, and length is limited.
 */

const UNSAFE =
  // C0, DEL and C1; line and paragraph separators; the marks that reorder text.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** On one line, at most `maxLength` UTF-16 units of the original; says how much was left out. */
export function shownText(text: string, maxLength = 200): string {
  if (text.length <= maxLength) return text.replace(UNSAFE, escapeCharacter);
  // toWellFormed: the cut may fall between two halves of a surrogate pair.
  const kept = text.slice(0, maxLength).toWellFormed().replace(UNSAFE, escapeCharacter);
  return `${kept}... (${text.length - maxLength} more)`;
}

/** The same for a text of several lines (a stack): line breaks stay. */
export function shownLines(text: string, maxLength = 4000): string {
  return text
    .slice(0, maxLength)
    .split('\n')
    .map((line) => shownText(line, maxLength))
    .join('\n');
}
