/* usherctl completion: shell scripts made from the table of commands */
#include "ctl/command.h"
#include <stdio.h>
#include <string.h>

#define FILES "-f|--file|--ca|--vv|--password-file|--kernel|--initrd|--manifest|--cache"

static void
print_bash (const char *commands, const char *more, const char *kinds)
{
  printf ("# bash completion for usherctl\n"
          "_usherctl() {\n"
          "  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} words=${COMP_WORDS[1]:-}\n"
          "  [ \"$command\" != template ] || words=\"template ${COMP_WORDS[2]:-}\"\n"
          "  COMPREPLY=()\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "    mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\")\n"
          "    return\n"
          "  fi\n"
          "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
          "    -o|--output) mapfile -t COMPREPLY < <(compgen -W 'json yaml table name' -- \"$current\"); return ;;\n"
          "    --guest) mapfile -t COMPREPLY < <(compgen -W 'linux windows other' -- \"$current\"); return ;;\n"
          "    --firmware) mapfile -t COMPREPLY < <(compgen -W 'bios uefi' -- \"$current\"); return ;;\n"
          "    --ready) mapfile -t COMPREPLY < <(compgen -W 'agent running' -- \"$current\"); return ;;\n"
          "    " FILES ") mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;\n"
          "  esac\n"
          "  case $current in\n"
          "    -*) # shellcheck disable=SC2086  # two words\n"
          "      mapfile -t COMPREPLY < <(compgen -W \"$(usherctl $words --help 2>/dev/null |\n"
          "          grep -oE -- '--[a-z-]+')\" -- \"$current\"); return ;;\n"
          "  esac\n"
          "  case $words:$COMP_CWORD in\n"
          "    get:2|describe:2|delete:2|watch:2|why:2)\n"
          "      mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\") ;;\n"
          "    get:3|describe:3|delete:3|why:3)\n"
          "      mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get \"${COMP_WORDS[2]}\" -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    refresh:2) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get desktop -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    host-token:2) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get host -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    completion:2) mapfile -t COMPREPLY < <(compgen -W 'bash zsh' -- \"$current\") ;;\n"
          "    template\\ *:2) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\") ;;\n"
          "    template\\ import:3|template\\ export:5) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
          "    template\\ build:3) mapfile -t COMPREPLY < <(compgen -W 'debian-desktop tiny' -- \"$current\"; compgen -d -- \"$current\") ;;\n"
          "    template\\ *:3) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get template -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    template\\ publish:4|template\\ retire:4|template\\ export:4)\n"
          "      mapfile -t COMPREPLY < <(compgen -W \"$(usherctl template versions \"${COMP_WORDS[3]}\" -o name 2>/dev/null |\n"
          "        sed 's/.*\\.//')\" -- \"$current\") ;;\n"
          "  esac\n"
          "}\n"
          "complete -F _usherctl usherctl\n",
          commands, kinds, more);
}

static void
print_zsh (const char *commands, const char *more, const char *kinds)
{
  printf ("#compdef usherctl\n"
          "_usherctl() {\n"
          "  local words2=$words[2]\n"
          "  [[ $words2 != template ]] || words2=\"template $words[3]\"\n"
          "  if (( CURRENT == 2 )); then\n"
          "    compadd -- %s\n"
          "    return\n"
          "  fi\n"
          "  case $words[CURRENT-1] in\n"
          "    -o|--output) compadd -- json yaml table name; return ;;\n"
          "    --guest) compadd -- linux windows other; return ;;\n"
          "    --firmware) compadd -- bios uefi; return ;;\n"
          "    --ready) compadd -- agent running; return ;;\n"
          "    " FILES ") _files; return ;;\n"
          "  esac\n"
          "  case $words2:$CURRENT in\n"
          "    get:3|describe:3|delete:3|watch:3|why:3) compadd -- %s ;;\n"
          "    get:4|describe:4|delete:4|why:4) compadd -- ${(f)\"$(usherctl get $words[3] -o name 2>/dev/null)\"} ;;\n"
          "    refresh:3) compadd -- ${(f)\"$(usherctl get desktop -o name 2>/dev/null)\"} ;;\n"
          "    host-token:3) compadd -- ${(f)\"$(usherctl get host -o name 2>/dev/null)\"} ;;\n"
          "    completion:3) compadd -- bash zsh ;;\n"
          "    template\\ *:3) compadd -- %s ;;\n"
          "    template\\ import:4|template\\ export:6) _files ;;\n"
          "    template\\ build:4) compadd -- debian-desktop tiny; _files -/ ;;\n"
          "    template\\ *:4) compadd -- ${(f)\"$(usherctl get template -o name 2>/dev/null)\"} ;;\n"
          "    template\\ publish:5|template\\ retire:5|template\\ export:5)\n"
          "      compadd -- ${${(f)\"$(usherctl template versions $words[4] -o name 2>/dev/null)\"}##*.} ;;\n"
          "  esac\n"
          "}\n"
          "compdef _usherctl usherctl\n",
          commands, kinds, more);
}

/* The words that come first (`group` NULL), or second after `group` («template »), each once. */
static char *
list_words (const char *group)
{
  GString *list = g_string_new (NULL);
  g_autofree char *before = NULL;

  for (const UsherCommand *c = usher_commands; c->name != NULL; c++) {
    gboolean of_group = group != NULL && g_str_has_prefix (c->name, group);
    g_autofree char *word = of_group ? g_strdup (c->name + strlen (group)) : g_strndup (c->name, strcspn (c->name, " "));
    if ((group != NULL && !of_group) || g_strcmp0 (word, before) == 0)
      continue;
    g_string_append_printf (list, "%s%s", list->len > 0 ? " " : "", word);
    g_free (before);
    before = g_steal_pointer (&word);
  }
  return g_string_free (list, FALSE);
}

gboolean
usher_ctl_completion (UsherCtl *ctl, GError **error)
{
  g_autofree char *commands = list_words (NULL), *more = list_words ("template ");
  g_autofree char *kinds = g_strjoinv (" ", (char **) usher_kind_names ());

  if (strcmp (ctl->words[0], "bash") == 0)
    print_bash (commands, more, kinds);
  else if (strcmp (ctl->words[0], "zsh") == 0)
    print_zsh (commands, more, kinds);
  else
    return usher_ctl_misuse (error, "completion %s: neither bash nor zsh", ctl->words[0]);
  return TRUE;
}
