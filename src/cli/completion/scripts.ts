/**
 * The completion scripts. They hold no list of their own: they hand the words to `varve __complete`, which answers with a line
 * that says what the shell adds (`file`, `directory`, `nothing`) and one line per candidate.
 */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * bash cuts words at `:`, `=` and `@` (COMP_WORDBREAKS) and replaces only the last piece: the words are cut here from the
 * line itself, at blanks only, and what bash takes for earlier words is taken off the candidates.
 */
const BASH = `# bash completion for varve; load it with: source <(varve completion bash)
_varve() {
  local line="$COMP_LINE" words kind candidate current piece
  line="\${line:0:COMP_POINT}"
  read -r -a words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]}-1]}"
  COMPREPLY=()
  piece="\${current%"\${current##*[:=@]}"}"
  {
    read -r kind
    while IFS= read -r candidate; do
      COMPREPLY+=("\${candidate#"$piece"}")
    done
  } < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  current="\${current#"$piece"}"
  case "$kind" in
    file) compopt -o filenames 2>/dev/null; while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "$current") ;;
    directory) compopt -o filenames 2>/dev/null; while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -d -- "$current") ;;
  esac
  # After the name of a transport its path goes on at once.
  [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *[:/] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _varve varve
`;

const ZSH = `#compdef varve
# zsh completion for varve; load it with: source <(varve completion zsh), or put it into a directory of $fpath as _varve
_varve() {
  local -a answer
  local kind
  answer=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  kind="\${answer[1]}"
  shift answer
  (( \${#answer} )) && compadd -- "\${answer[@]}"
  [[ "$kind" == nothing ]] || compset -P '*[:=]'
  case "$kind" in
    file) _files ;;
    directory) _files -/ ;;
  esac
}
if [ "$funcstack[1]" = _varve ]; then _varve "$@"; else compdef _varve varve; fi
`;

const FISH = `# fish completion for varve; load it with: varve completion fish | source
function __varve_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
    set -l kind $answer[1]
    set -l paths
    for candidate in $answer[2..-1]
        echo $candidate
    end
    switch "$kind"
        case file
            set paths (__fish_complete_path (string replace -r '^.*[:=]' '' -- "$current"))
        case directory
            set paths (__fish_complete_directories (string replace -r '^.*[:=]' '' -- "$current"))
    end
    set -l prefix (string match -r '^.*[:=]' -- "$current")
    for path in $paths
        echo "$prefix$path"
    end
end
complete -c varve -f -a '(__varve_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
