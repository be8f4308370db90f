@rem What a host runs through the guest agent, with the document of templates/guest/document.h on standard input.
@powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File C:\Usher\identity.ps1
