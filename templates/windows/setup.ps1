# Run as an administrator in the machine that becomes the template: at the first sign-in by autounattend.xml, which installs
# what a host and its people's clients talk to; and with -Seal when everything else is installed, which ends in a switched-off
# machine ready to be imported. It was never run: see README.md.
param([switch] $Seal)
$ErrorActionPreference = 'Stop'
$UsherFolder = 'C:\Usher'

function Find-OnDiscs([string] $Path) {
  foreach ($drive in Get-PSDrive -PSProvider FileSystem) {
    $file = Join-Path $drive.Root $Path
    if (Test-Path $file) { return $file }
  }
  throw "no disc holds $Path"
}

function Install-Package([string] $Path, [string[]] $Options) {
  $process = Start-Process -FilePath $Path -ArgumentList $Options -Wait -PassThru
  if ($process.ExitCode -notin 0, 3010) { throw "$Path ended with $($process.ExitCode)" }
}

function Install-Guest {
  New-Item -ItemType Directory -Force $UsherFolder | Out-Null
  foreach ($name in 'setup.ps1', 'identity.ps1', 'identity.cmd', 'sysprep.xml') {
    Copy-Item (Find-OnDiscs $name) $UsherFolder -Force
  }
  # Drivers, QEMU's guest agent and the SPICE agent in one; then an own look whether the agent is there.
  Install-Package (Find-OnDiscs 'virtio-win-guest-tools.exe') @('/install', '/quiet', '/norestart')
  if (-not (Get-Service -Name 'QEMU-GA' -ErrorAction SilentlyContinue)) {
    Install-Package 'msiexec.exe' @('/i', (Find-OnDiscs 'guest-agent\qemu-ga-x86_64.msi'), '/qn', '/norestart')
  }
  Set-Service -Name 'QEMU-GA' -StartupType Automatic
  Set-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' fDenyTSConnections 0
  Enable-NetFirewallRule -DisplayGroup 'Remote Desktop'
  powercfg /hibernate off
  powercfg /change standby-timeout-ac 0
  powercfg /change monitor-timeout-ac 0
}

function Remove-Leftovers {
  Get-ChildItem 'C:\ProgramData\ssh\ssh_host_*' -ErrorAction SilentlyContinue | Remove-Item -Force
  Get-ChildItem 'C:\Users\*\AppData\Roaming\Microsoft\Windows\PowerShell\PSReadLine\*_history.txt' -Force -ErrorAction SilentlyContinue |
    Remove-Item -Force
  foreach ($folder in 'C:\Windows\Temp', 'C:\Windows\SoftwareDistribution\Download', 'C:\Users\builder\AppData\Local\Temp') {
    Get-ChildItem $folder -Force -ErrorAction SilentlyContinue | Remove-Item -Recurse -Force -ErrorAction SilentlyContinue
  }
  foreach ($log in wevtutil el) { wevtutil cl $log 2>$null }
  ipconfig /release | Out-Null
}

if ($Seal) {
  Remove-Leftovers
  # Sysprep refuses when an app was updated for one account only; its reason is in C:\Windows\System32\Sysprep\Panther.
  & 'C:\Windows\System32\Sysprep\sysprep.exe' /generalize /oobe /shutdown /quiet "/unattend:$UsherFolder\sysprep.xml"
} else {
  Install-Guest
}
