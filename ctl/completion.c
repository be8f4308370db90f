/* usherctl completion: shell scripts made from the table of commands */
#include "ctl/command.h"
#include <stdio.h>
#include <string.h>

static void
print_bash (const char *commands, const char *kinds)
{
  printf ("# bash completion for usherctl\n"
          "_usherctl() {\n"
          "  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-}\n"
          "  COMPREPLY=()\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "    mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\")\n"
          "    return\n"
          "  fi\n"
          "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
          "    -o|--output) mapfile -t COMPREPLY < <(compgen -W 'json yaml table name' -- \"$current\"); return ;;\n"
          "    -f|--file|--ca|--vv|--password-file) mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;\n"
          "  esac\n"
          "  case $current in\n"
          "    -*) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl \"$command\" --help 2>/dev/null |\n"
          "          grep -oE -- '--[a-z-]+')\" -- \"$current\"); return ;;\n"
          "  esac\n"
          "  case $command:$COMP_CWORD in\n"
          "    get:2|describe:2|delete:2|watch:2|why:2)\n"
          "      mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\") ;;\n"
          "    get:3|describe:3|delete:3|why:3)\n"
          "      mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get \"${COMP_WORDS[2]}\" -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    refresh:2) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get desktop -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    host-token:2) mapfile -t COMPREPLY < <(compgen -W \"$(usherctl get host -o name 2>/dev/null)\" -- \"$current\") ;;\n"
          "    completion:2) mapfile -t COMPREPLY < <(compgen -W 'bash zsh' -- \"$current\") ;;\n"
          "  esac\n"
          "}\n"
          "complete -F _usherctl usherctl\n",
          commands, kinds);
}

static void
print_zsh (const char *commands, const char *kinds)
{
  printf ("#compdef usherctl\n"
          "_usherctl() {\n"
          "  if (( CURRENT == 2 )); then\n"
          "    compadd -- %s\n"
          "    return\n"
          "  fi\n"
          "  case $words[CURRENT-1] in\n"
          "    -o|--output) compadd -- json yaml table name; return ;;\n"
          "    -f|--file|--ca|--vv|--password-file) _files; return ;;\n"
          "  esac\n"
          "  case $words[2]:$CURRENT in\n"
          "    get:3|describe:3|delete:3|watch:3|why:3) compadd -- %s ;;\n"
          "    get:4|describe:4|delete:4|why:4) compadd -- ${(f)\"$(usherctl get $words[3] -o name 2>/dev/null)\"} ;;\n"
          "    refresh:3) compadd -- ${(f)\"$(usherctl get desktop -o name 2>/dev/null)\"} ;;\n"
          "    host-token:3) compadd -- ${(f)\"$(usherctl get host -o name 2>/dev/null)\"} ;;\n"
          "    completion:3) compadd -- bash zsh ;;\n"
          "  esac\n"
          "}\n"
          "compdef _usherctl usherctl\n",
          commands, kinds);
}

gboolean
usher_ctl_completion (UsherCtl *ctl, GError **error)
{
  g_autoptr (GString) commands = g_string_new (NULL);
  g_autofree char *kinds = g_strjoinv (" ", (char **) usher_kind_names ());

  for (const UsherCommand *c = usher_commands; c->name != NULL; c++)
    g_string_append_printf (commands, "%s%s", commands->len > 0 ? " " : "", c->name);
  if (strcmp (ctl->words[0], "bash") == 0)
    print_bash (commands->str, kinds);
  else if (strcmp (ctl->words[0], "zsh") == 0)
    print_zsh (commands->str, kinds);
  else
    return usher_ctl_misuse (error, "completion %s: neither bash nor zsh", ctl->words[0]);
  return TRUE;
}
